import { concatMap, timer, type Observable, type SchedulerLike } from 'rxjs';
import { LONGEST_TIMER_MS } from './durations.ts';

/** RxJS's `timer` for any delay: a TTL may be of months. */
export function longTimer$(delayMs: number, scheduler: SchedulerLike): Observable<unknown> {
  if (delayMs <= LONGEST_TIMER_MS) return timer(Math.max(0, delayMs), scheduler);
  return timer(LONGEST_TIMER_MS, scheduler).pipe(concatMap(() => longTimer$(delayMs - LONGEST_TIMER_MS, scheduler)));
}
