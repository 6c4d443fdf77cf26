import { fractionOf } from '../time/backoff.ts';

/** A random positive lease id of 63 bits, in decimal. Chosen here, it is known also when no answer comes. */
export function newLeaseId(random: () => number): string {
  const high = BigInt(Math.floor(fractionOf(random) * (2 ** 31 - 1)));
  const low = BigInt(Math.floor(fractionOf(random) * (2 ** 32 - 1)));
  return String((high << 32n) | low || 1n);
}
