import type { PrefixState, ResyncReason } from '../discovery/prefix-state.ts';
import { SnapshotEntry } from '../discovery/snapshot-entry.ts';
import { Snapshot } from '../discovery/snapshot.ts';

/**
 * What the steadiness operators take and give: states of a prefix, or its snapshots alone.
 *
 * One rule holds for all of them: a stream of states gives states, a stream of snapshots (of any Map) gives
 * snapshots, and a snapshot alone counts as live. So they follow one another in any order, and
 * `snapshots()` ends a chain of states. What needs to know of staleness takes states only.
 */
export type Known<T> = PrefixState<T> | ReadonlyMap<string, T>;

/** The snapshot in it; `undefined` while nothing is known. */
export function snapshotIn<T>(known: Known<T>): ReadonlyMap<string, T> | undefined {
  if (!isState(known)) return known;
  return known.status === 'pending' ? undefined : known.snapshot;
}

export function statusOf(known: Known<unknown>): PrefixState<unknown>['status'] {
  return isState(known) ? known.status : 'live';
}

export function resyncOf(known: Known<unknown>): ResyncReason | undefined {
  return isState(known) && known.status === 'live' ? known.resync : undefined;
}

/** The same with another snapshot. */
export function withSnapshot<T>(known: Known<T>, snapshot: ReadonlyMap<string, T>): Known<T> {
  if (!isState(known)) return snapshot;
  if (known.status === 'pending') return known;
  return { ...known, snapshot: snapshot instanceof Snapshot ? (snapshot as Snapshot<T>) : Snapshot.of(snapshot) };
}

/** The same with the reason of a resync, or without one. */
export function withResync<T>(known: Known<T>, resync: ResyncReason | undefined): Known<T> {
  if (!isState(known) || known.status !== 'live' || known.resync === resync) return known;
  const { status, snapshot, rejected } = known;
  return { status, snapshot, rejected, ...(resync !== undefined && { resync }) };
}

/** A map with some entries more. It is a snapshot of the same revision when `map` is one. */
export function withEntries<T>(
  map: ReadonlyMap<string, T>,
  entries: Iterable<readonly [key: string, entry: SnapshotEntry<T>]>,
): ReadonlyMap<string, T> {
  if (map instanceof Snapshot) return Snapshot.change(map as Snapshot<T>, entries, map.revision);
  const more = new Map(map);
  for (const [key, { value }] of entries) more.set(key, value);
  return more;
}

/** Calls back for each key of which one map has another entry than the other, or none. Cheap between snapshots. */
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
    if (!after.has(key)) visit(key, entryOf(value), undefined);
  }
  for (const [key, value] of after) {
    const old = before.has(key) ? (before.get(key) as T) : undefined;
    if (!before.has(key)) visit(key, undefined, entryOf(value));
    else if (!Object.is(old, value)) visit(key, entryOf(old as T), entryOf(value));
  }
}

function isState<T>(known: Known<T>): known is PrefixState<T> {
  return 'status' in known;
}

function entryOf<T>(value: T): SnapshotEntry<T> {
  return new SnapshotEntry(value);
}
