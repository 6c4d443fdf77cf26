import { Snapshot } from '../discovery/snapshot.ts';

/** What {@link forEachDifference} tells of two maps. */
export interface DifferenceVisitor<T> {
  joined(key: string, value: T): void;
  changed(key: string, value: T): void;
  left(key: string): void;
}

/**
 * Tells who joined, who changed and who left between two maps. Between snapshots of one prefix the cost
 * follows the difference; between other maps it is their size.
 */
export function forEachDifference<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  visitor: DifferenceVisitor<T>,
): void {
  if (before === after) return;
  if (before instanceof Snapshot && after instanceof Snapshot) {
    Snapshot.diff(before as Snapshot<T>, after as Snapshot<T>, (key, old, now) => {
      if (now === undefined) visitor.left(key);
      else if (old === undefined) visitor.joined(key, now.value);
      else if (old.value !== now.value) visitor.changed(key, now.value);
    });
    return;
  }
  for (const key of before.keys()) {
    if (!after.has(key)) visitor.left(key);
  }
  for (const [key, value] of after) {
    if (!before.has(key)) visitor.joined(key, value);
    else if (before.get(key) !== value) visitor.changed(key, value);
  }
}
