import { asyncScheduler, type SchedulerLike } from 'rxjs';

/** A wall clock that runs ahead of the monotonic one by more than this was set forward, or the machine slept. */
const JUMP_MS = 1000;

/**
 * A clock for durations, made of a wall clock and a monotonic one: it only goes forward, in milliseconds from anywhere.
 *
 * The wall clock is set back when a machine learns that its time was wrong. The monotonic one stands still while the
 * machine sleeps (on Linux), and leases end meanwhile. So what has passed is the greater of the two, for jumps of more
 * than a second; smaller differences are drift and rounding, and are left to the monotonic clock.
 *
 * @source https://man7.org/linux/man-pages/man2/clock_gettime.2.html
 */
export function elapsedClock(wallMs: () => number, monotonicMs: () => number): () => number {
  let aheadMs = wallMs() - monotonicMs();
  let jumpedMs = 0;
  return () => {
    const nowMs = monotonicMs();
    const nowAheadMs = wallMs() - nowMs;
    if (nowAheadMs - aheadMs > JUMP_MS) jumpedMs += nowAheadMs - aheadMs;
    if (Math.abs(nowAheadMs - aheadMs) > JUMP_MS) aheadMs = nowAheadMs;
    return nowMs + jumpedMs;
  };
}

const processClock = elapsedClock(
  () => Date.now(),
  () => performance.now(),
);

/**
 * The clock for durations beside a scheduler's: RxJS's `asyncScheduler` tells the time of day, virtual ones never go
 * back. The scheduler's own clock is for points in time that users are told of.
 */
export function steadyClock(scheduler: SchedulerLike): () => number {
  return scheduler === asyncScheduler ? processClock : () => scheduler.now();
}
