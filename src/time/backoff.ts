import { RxEtcdError, callbackFailed } from '../errors.ts';

/**
 * The upper bound of any delay between two attempts. etcd elects a leader in one or two seconds, and a
 * user who waits for etcd's return should not wait much longer than that.
 */
export const MAX_DELAY_MS = 2000;

// Wide enough that a thousand clients cut off in the same instant do not come back in the same instant.
const FIRST_CEILING_MS = 500;

/**
 * The delay before the attempt after `failures` failures in a row: uniform below a ceiling that doubles up
 * to {@link MAX_DELAY_MS} ("full jitter").
 *
 * @source https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffDelayMs(failures: number, random: () => number): number {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_CEILING_MS * 2 ** Math.min(Math.max(0, failures - 1), 10));
  return Math.round(ceiling * fractionOf(random));
}

/** A number from the user's source of randomness, held against its contract. Throws `callback-failed`. */
export function fractionOf(random: () => number): number {
  let fraction: unknown;
  try {
    fraction = random();
  } catch (error) {
    throw callbackFailed('options.random', error);
  }
  if (typeof fraction === 'number' && fraction >= 0 && fraction <= 1) return fraction;
  throw new RxEtcdError('callback-failed', `options.random: expected a number in [0, 1), got ${String(fraction)}`);
}
