import { invalidArgument } from '../errors.ts';

/** A duration given by a user, or a thrown `invalid-argument` that names it. */
export function durationMs(argument: string, value: unknown): number {
  // Node's timers take no more than 2^31 - 1 ms, and fire at once for it.
  if (typeof value !== 'number' || !(value >= 0 && value < 2 ** 31)) {
    throw invalidArgument(argument, 'milliseconds from 0 and below 2^31', value);
  }
  return value;
}
