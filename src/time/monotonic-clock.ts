import { asyncScheduler, type TimestampProvider } from 'rxjs';
import { steadyClock } from './steady-clock.ts';

/** The default of what measures calls: see {@link steadyClock}. */
export const monotonicClock: TimestampProvider = { now: steadyClock(asyncScheduler) };
