/** The hosts that all measurements are about. */

export const PREFIX = '/services/user/';

/** A lease id of usual size. */
export const HOST_LEASE = 7587862094172093443n;

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
