import type { TimestampProvider } from 'rxjs';

/** Milliseconds that never go back, for measuring: the wall clock can be set while a call is in flight. */
export const monotonicClock: TimestampProvider = { now: () => performance.now() };
