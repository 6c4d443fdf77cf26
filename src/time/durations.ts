import { invalidArgument } from '../errors.ts';

/** Node fires a timer with a longer delay at once. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1;

/** A duration given by a user, or a thrown `invalid-argument` that names it. */
export function durationMs(argument: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= LONGEST_TIMER_MS)) {
    throw invalidArgument(argument, 'milliseconds from 0 and below 2^31', value);
  }
  return value;
}
