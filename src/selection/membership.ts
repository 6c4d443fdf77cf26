import { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument } from '../errors.ts';

/** What {@link forEachDifference} tells of two memberships. */
export interface DifferenceVisitor<T> {
  joined(key: string, host: T): void;
  changed(key: string, host: T): void;
  left(key: string): void;
}

/**
 * The hosts of one emission, as they are now: a snapshot is taken as it is, of any other map a copy is made.
 *
 * Without the copy a map that its owner changes in place and emits again would be compared with itself, and a selector
 * would go on with hosts that are gone. A key whose host is `undefined` is left out.
 */
export function membershipOf<T>(hosts: ReadonlyMap<string, T>): Snapshot<T> {
  if (hosts instanceof Snapshot) return hosts as Snapshot<T>;
  const { get, entries } = (hosts as Partial<ReadonlyMap<string, T>> | undefined) ?? {};
  if (typeof get !== 'function' || typeof entries !== 'function') {
    throw invalidArgument('hosts', 'Maps from key to host', hosts);
  }
  return Snapshot.of([...hosts.entries()].filter(([, host]) => host !== undefined));
}

/** Tells who joined, who changed and who left. Between snapshots of one prefix the cost follows the difference. */
export function forEachDifference<T>(before: Snapshot<T>, after: Snapshot<T>, visitor: DifferenceVisitor<T>): void {
  if (before === after) return;
  Snapshot.diff(before, after, (key, old, now) => {
    if (old?.value === now?.value) return;
    if (now?.value === undefined) visitor.left(key);
    else if (old?.value === undefined) visitor.joined(key, now.value);
    else visitor.changed(key, now.value);
  });
}
