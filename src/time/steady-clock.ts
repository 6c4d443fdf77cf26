import { asyncScheduler, type SchedulerLike } from 'rxjs';

/**
 * A clock beside a scheduler's that goes only forward, in milliseconds from anywhere: RxJS's `asyncScheduler` tells
 * the time of day, and that is set back when a machine learns that its clock was wrong.
 */
export function steadyClock(scheduler: SchedulerLike): () => number {
  return scheduler === asyncScheduler ? () => performance.now() : () => scheduler.now();
}
