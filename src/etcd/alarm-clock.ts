import { timer, type SchedulerLike, type Subscription } from 'rxjs';
import { SortedTree, type SortedTreeDraft } from '../sorted-tree/sorted-tree.ts';
import { steadyClock } from './steady-clock.ts';

// Node runs a timer with a longer delay at once: for a TTL of months, over and over.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Something to be done at its time. */
export interface Alarm {
  readonly dueMs: number;
  readonly serial: number;
  readonly ring: () => void;
}

/** Any number of alarms with one timer: ten thousand leases are renewed and watched over by one. */
export class AlarmClock {
  readonly #scheduler: SchedulerLike;
  readonly #nowMs: () => number;
  #alarms: SortedTreeDraft<Alarm, Alarm>;
  #serial = 0;
  #timer: { readonly atMs: number; readonly subscription: Subscription } | undefined;

  /** @param nowMs a clock that is never set back. */
  constructor(scheduler: SchedulerLike, nowMs: () => number) {
    this.#scheduler = scheduler;
    this.#nowMs = nowMs;
    this.#alarms = noAlarms();
  }

  /** Calls `ring` once, after `delayMs`, in whole milliseconds so that those due together ring together. */
  set(delayMs: number, ring: () => void): Alarm {
    const alarm = { dueMs: Math.ceil(this.#nowMs() + delayMs), serial: this.#serial++, ring };
    this.#alarms.set(alarm, alarm);
    this.#setTimer();
    return alarm;
  }

  /** Nothing happens if it has rung. */
  cancel(alarm: Alarm): void {
    this.#alarms.delete(alarm);
    if (this.#alarms.size === 0) this.#stopTimer();
  }

  cancelAll(): void {
    this.#alarms = noAlarms();
    this.#stopTimer();
  }

  #setTimer(): void {
    const first = this.#first();
    if (first === undefined || (this.#timer !== undefined && this.#timer.atMs <= first.dueMs)) return;
    this.#stopTimer();
    const delayMs = Math.min(Math.max(0, first.dueMs - this.#nowMs()), LONGEST_TIMER_MS);
    const subscription = timer(delayMs, this.#scheduler).subscribe(() => {
      this.#ringDue();
    });
    this.#timer = { atMs: first.dueMs, subscription };
  }

  #stopTimer(): void {
    this.#timer?.subscription.unsubscribe();
    this.#timer = undefined;
  }

  #ringDue(): void {
    this.#timer = undefined;
    const nowMs = this.#nowMs();
    // What is set while ringing rings another time.
    const serial = this.#serial;
    try {
      for (let alarm = this.#first(); alarm !== undefined; alarm = this.#first()) {
        if (alarm.dueMs > nowMs || alarm.serial >= serial) break;
        this.#alarms.delete(alarm);
        alarm.ring();
      }
    } finally {
      this.#setTimer();
    }
  }

  #first(): Alarm | undefined {
    return this.#alarms.pairAfter(undefined)?.[0];
  }
}

const clocks = new WeakMap<SchedulerLike, AlarmClock>();

/** The one clock of all who wait on a scheduler. */
export function alarmClockOf(scheduler: SchedulerLike): AlarmClock {
  let clock = clocks.get(scheduler);
  if (clock === undefined) {
    clock = new AlarmClock(scheduler, steadyClock(scheduler));
    clocks.set(scheduler, clock);
  }
  return clock;
}

function noAlarms(): SortedTreeDraft<Alarm, Alarm> {
  return SortedTree.empty<Alarm, Alarm>(isBefore).draft();
}

function isBefore(a: Alarm, b: Alarm): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.serial < b.serial);
}
