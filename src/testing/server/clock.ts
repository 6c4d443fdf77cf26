import { asyncScheduler, VirtualTimeScheduler, type SchedulerLike } from 'rxjs';
import { durationMs } from '../../time/durations.ts';
import { TimerQueue } from '../../time/timer-queue.ts';

/** The time of a server: real, or moved by a test. */
export interface ServerClock {
  readonly timers: TimerQueue;
  readonly nowMs: number;
  /** Fires `work` once; the returned function prevents it. */
  after(delayMs: number, work: () => void): () => void;
  /** Moves time on, timer by timer. Throws for real time. */
  advance(ms: number): void;
}

export function realClock(): ServerClock {
  return clockOf(asyncScheduler, () => {
    throw new Error("this server runs in real time: start it with time: 'manual' to advance it");
  });
}

export function manualClock(): ServerClock {
  const scheduler = new VirtualTimeScheduler(undefined, 0);
  return clockOf(scheduler, (ms) => {
    const untilMs = scheduler.frame + durationMs('ms', ms);
    scheduler.maxFrames = untilMs;
    scheduler.flush();
    scheduler.frame = untilMs;
  });
}

function clockOf(scheduler: SchedulerLike, advance: (ms: number) => void): ServerClock {
  const timers = new TimerQueue(scheduler);
  return {
    timers,
    get nowMs() {
      return timers.nowMs();
    },
    after(delayMs, work) {
      const timer = { dueMs: undefined, fire: work };
      timers.set(timer, delayMs);
      return () => {
        timers.cancel(timer);
      };
    },
    advance,
  };
}
