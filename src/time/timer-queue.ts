import { timer, type SchedulerLike, type Subscription } from 'rxjs';
import { SortedTree, type SortedTreeDraft } from '../sorted-tree/sorted-tree.ts';
import { LONGEST_TIMER_MS } from './durations.ts';
import { steadyClock } from './steady-clock.ts';

/** What a {@link TimerQueue} holds. */
export interface QueuedTimer {
  /** When it fires, by the queue's clock; `undefined` when it is not queued. Only the queue writes it. */
  dueMs: number | undefined;
  fire(): void;
}

/**
 * Any number of queued timers over one timer of the scheduler: ten thousand leases share it. Timers that may fire a
 * little late fire together (timer coalescing, as in operating systems): waking up costs more than most of the work.
 */
export class TimerQueue {
  readonly #scheduler: SchedulerLike;
  /** A clock that is never set back, as the scheduler's can be. */
  readonly nowMs: () => number;
  readonly #queued: SortedTreeDraft<number, Set<QueuedTimer>> = SortedTree.empty<number, Set<QueuedTimer>>(
    isBefore,
  ).draft();
  #timer: { readonly atMs: number; readonly subscription: Subscription } | undefined;
  /** While timers fire: all that are due up to this time fire in this pass. */
  #firedUpToMs = -Infinity;

  constructor(scheduler: SchedulerLike, nowMs: () => number = steadyClock(scheduler)) {
    this.#scheduler = scheduler;
    this.nowMs = nowMs;
  }

  /** Fires once, after `delayMs` and up to `slackMs` later. A timer that is queued already is queued again. */
  set(queued: QueuedTimer, delayMs: number, slackMs: number = 0): void {
    this.cancel(queued);
    // Multiples of a power of two, so that timers of similar slack share their times.
    const gridMs = 2 ** Math.max(0, Math.floor(Math.log2(slackMs)));
    const dueMs = Math.ceil((this.nowMs() + Math.max(0, delayMs)) / gridMs) * gridMs;
    // Queued while firing: it waits for the next pass, or two timers that queue each other would never end this one.
    const atMs = Math.max(dueMs, this.#firedUpToMs + 1);
    const others = this.#queued.get(atMs);
    if (others === undefined) this.#queued.set(atMs, new Set([queued]));
    else others.add(queued);
    queued.dueMs = atMs;
    this.#setTimer();
  }

  /** Nothing happens if it is not set. */
  cancel(queued: QueuedTimer): void {
    const atMs = queued.dueMs;
    if (atMs === undefined) return;
    queued.dueMs = undefined;
    const sameTime = this.#queued.get(atMs);
    if (sameTime?.delete(queued) !== true || sameTime.size > 0) return;
    this.#queued.delete(atMs);
    if (this.#queued.size === 0) this.#stopTimer();
  }

  #setTimer(): void {
    // While firing, the due entry is still queued; the timer is armed again when the pass is done.
    if (this.#firedUpToMs > -Infinity) return;
    const atMs = this.#first()?.[0];
    if (atMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#stopTimer();
    const delayMs = Math.min(Math.max(0, atMs - this.nowMs()), LONGEST_TIMER_MS);
    const subscription = timer(delayMs, this.#scheduler).subscribe(() => {
      this.#fireDue();
    });
    this.#timer = { atMs, subscription };
  }

  #stopTimer(): void {
    this.#timer?.subscription.unsubscribe();
    this.#timer = undefined;
  }

  #fireDue(): void {
    this.#timer = undefined;
    this.#firedUpToMs = Math.floor(this.nowMs());
    try {
      for (let due = this.#first(); due !== undefined && due[0] <= this.#firedUpToMs; due = this.#first()) {
        const [atMs, timers] = due;
        for (const queued of timers) {
          // It fired in the pass before, which another timer ended by throwing.
          if (queued.dueMs !== atMs) continue;
          queued.dueMs = undefined;
          queued.fire();
        }
        this.#queued.delete(atMs);
      }
    } finally {
      this.#firedUpToMs = -Infinity;
      this.#setTimer();
    }
  }

  #first(): [atMs: number, timers: Set<QueuedTimer>] | undefined {
    return this.#queued.pairAfter(undefined);
  }
}

const queues = new WeakMap<SchedulerLike, TimerQueue>();

/** The one queue of a scheduler. */
export function timerQueueOf(scheduler: SchedulerLike): TimerQueue {
  let queue = queues.get(scheduler);
  if (queue === undefined) queues.set(scheduler, (queue = new TimerQueue(scheduler)));
  return queue;
}

function isBefore(a: number, b: number): boolean {
  return a < b;
}
