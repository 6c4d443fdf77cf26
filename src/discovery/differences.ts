import { SnapshotEntry } from './snapshot-entry.ts';
import { Snapshot } from './snapshot.ts';

/**
 * Calls back for each key of which one map has another entry than the other, or none. Between snapshots of one prefix,
 * in key order and at the cost of the difference; with any other Map at the cost of its size.
 */
export function forEachDifference<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  visit: (key: string, before: SnapshotEntry<T> | undefined, after: SnapshotEntry<T> | undefined) => void,
): void {
  if (before === after) return;
  if (before instanceof Snapshot && after instanceof Snapshot) {
    Snapshot.diff(before as Snapshot<T>, after as Snapshot<T>, visit);
    return;
  }
  for (const [key, value] of before) {
    if (!after.has(key)) visit(key, new SnapshotEntry(value), undefined);
  }
  for (const [key, value] of after) {
    const old = before.get(key);
    if (old === undefined && !before.has(key)) visit(key, undefined, new SnapshotEntry(value));
    else if (!Object.is(old, value)) visit(key, new SnapshotEntry(old as T), new SnapshotEntry(value));
  }
}
