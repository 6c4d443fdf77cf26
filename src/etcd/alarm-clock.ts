import { timer, type SchedulerLike, type Subscription } from 'rxjs';
import { SortedTree, type SortedTreeDraft } from '../sorted-tree/sorted-tree.ts';
import { steadyClock } from './steady-clock.ts';

/** Node runs a timer with a longer delay at once: for a TTL of months, over and over. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1;

/** Something to be done at its time. */
export interface Alarm {
  /** When it rings, by the clock's own time; `undefined` when it is not set. The clock's to write. */
  ringsAtMs: number | undefined;
  ring(): void;
}

/**
 * Any number of alarms with one timer: ten thousand leases are renewed and watched over by one. Alarms that may ring a
 * little late ring together, as timers of an operating system do: to wake up costs more than most of what is to be done.
 */
export class AlarmClock {
  readonly #scheduler: SchedulerLike;
  /** A clock that is never set back, as the scheduler's can be. */
  readonly nowMs: () => number;
  readonly #alarms: SortedTreeDraft<number, Set<Alarm>> = SortedTree.empty<number, Set<Alarm>>(isBefore).draft();
  #timer: { readonly atMs: number; readonly subscription: Subscription } | undefined;
  /** While some ring: up to when all are about to. */
  #rungMs = -Infinity;

  constructor(scheduler: SchedulerLike, nowMs: () => number = steadyClock(scheduler)) {
    this.#scheduler = scheduler;
    this.nowMs = nowMs;
  }

  /** Rings once, after `delayMs` and up to `slackMs` later. One that is set already is set anew. */
  set(alarm: Alarm, delayMs: number, slackMs: number = 0): void {
    this.cancel(alarm);
    // The same times for all whose slack is alike: multiples of a power of two.
    const gridMs = 2 ** Math.max(0, Math.floor(Math.log2(slackMs)));
    const dueMs = Math.ceil((this.nowMs() + Math.max(0, delayMs)) / gridMs) * gridMs;
    // What is set while others ring rings another time: or two that set each other would ring for ever.
    const atMs = Math.max(dueMs, this.#rungMs + 1);
    const others = this.#alarms.get(atMs);
    if (others === undefined) this.#alarms.set(atMs, new Set([alarm]));
    else others.add(alarm);
    alarm.ringsAtMs = atMs;
    this.#setTimer();
  }

  /** Nothing happens if it is not set. */
  cancel(alarm: Alarm): void {
    const atMs = alarm.ringsAtMs;
    if (atMs === undefined) return;
    alarm.ringsAtMs = undefined;
    const alike = this.#alarms.get(atMs);
    if (alike?.delete(alarm) !== true || alike.size > 0) return;
    this.#alarms.delete(atMs);
    if (this.#alarms.size === 0) this.#stopTimer();
  }

  #setTimer(): void {
    // While they ring, what is rung for is still the first: a timer for it would wake up for nothing.
    if (this.#rungMs > -Infinity) return;
    const atMs = this.#first()?.[0];
    if (atMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#stopTimer();
    const delayMs = Math.min(Math.max(0, atMs - this.nowMs()), LONGEST_TIMER_MS);
    const subscription = timer(delayMs, this.#scheduler).subscribe(() => {
      this.#ringDue();
    });
    this.#timer = { atMs, subscription };
  }

  #stopTimer(): void {
    this.#timer?.subscription.unsubscribe();
    this.#timer = undefined;
  }

  #ringDue(): void {
    this.#timer = undefined;
    this.#rungMs = Math.floor(this.nowMs());
    try {
      for (let due = this.#first(); due !== undefined && due[0] <= this.#rungMs; due = this.#first()) {
        const [atMs, alarms] = due;
        for (const alarm of alarms) {
          // It has rung, and one of the others threw an error.
          if (alarm.ringsAtMs !== atMs) continue;
          alarm.ringsAtMs = undefined;
          alarm.ring();
        }
        this.#alarms.delete(atMs);
      }
    } finally {
      this.#rungMs = -Infinity;
      this.#setTimer();
    }
  }

  #first(): [atMs: number, alarms: Set<Alarm>] | undefined {
    return this.#alarms.pairAfter(undefined);
  }
}

const clocks = new WeakMap<SchedulerLike, AlarmClock>();

/** The one clock of all who wait on a scheduler. */
export function alarmClockOf(scheduler: SchedulerLike): AlarmClock {
  let clock = clocks.get(scheduler);
  if (clock === undefined) clocks.set(scheduler, (clock = new AlarmClock(scheduler)));
  return clock;
}

function isBefore(a: number, b: number): boolean {
  return a < b;
}
