/** The hosts that all measurements are about. */

export const PREFIX = '/services/user/';

/** Each host has a lease of its own, of usual size. */
export function hostLease(index: number): bigint {
  return 7587862094172093443n + 3n * BigInt(index);
}

export function hostKey(index: number): string {
  return PREFIX + String(index).padStart(7, '0');
}

export function hostValue(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:8080`;
}

/** Which host an event is about: all over the range, and the same in every run. */
export function eventKey(revision: number, keys: number): number {
  return (revision * 7919) % keys;
}
