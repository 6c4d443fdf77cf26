import { isMap } from '../arguments.ts';
import type { PrefixState, ResyncReason } from '../discovery/prefix-state.ts';
import type { SnapshotEntry } from '../discovery/snapshot-entry.ts';
import { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument } from '../errors.ts';

/**
 * What the steadiness operators take and give: states of a prefix, or its snapshots alone.
 *
 * One rule holds for all of them: a stream of states gives states, a stream of snapshots (of any Map) gives
 * snapshots, and a snapshot alone counts as live. So they follow one another in any order, and
 * `snapshots()` ends a chain of states. What needs to know of staleness takes states only.
 */
export type StateOrSnapshot<T> = PrefixState<T> | ReadonlyMap<string, T>;

/** What a stream gave to an operator, or a thrown `invalid-argument` when it is neither a state nor a Map. */
export function stateOrSnapshot<K extends StateOrSnapshot<unknown>>(operator: string, value: K): K {
  if (!isMap(value) && !isState(value)) {
    throw invalidArgument(`the source of ${operator}`, 'states of a prefix, or Maps', value);
  }
  return value;
}

/** The same for an operator that cannot do without the state. */
export function stateOnly<T>(operator: string, value: PrefixState<T>): PrefixState<T> {
  if (!isState(value)) {
    const wanted = 'states, as watchPrefixState$ gives them (a snapshot does not tell how old it is)';
    throw invalidArgument(`the source of ${operator}`, wanted, value);
  }
  return value;
}

/** The snapshot in it; `undefined` while nothing is known. */
export function snapshotIn<T>(known: StateOrSnapshot<T>): ReadonlyMap<string, T> | undefined {
  if (!isState(known)) return known;
  return known.status === 'pending' ? undefined : known.snapshot;
}

export function statusOf(known: StateOrSnapshot<unknown>): PrefixState<unknown>['status'] {
  return isState(known) ? known.status : 'live';
}

export function resyncOf(known: StateOrSnapshot<unknown>): ResyncReason | undefined {
  return isState(known) && known.status === 'live' ? known.resync : undefined;
}

/** The same with another snapshot. */
export function withSnapshot<T>(known: StateOrSnapshot<T>, snapshot: ReadonlyMap<string, T>): StateOrSnapshot<T> {
  if (!isState(known)) return snapshot;
  return known.status === 'pending' ? known : { ...known, snapshot: Snapshot.from(snapshot) };
}

/** The same with the reason of a resync, or without one. */
export function withResync<T>(known: StateOrSnapshot<T>, resync: ResyncReason | undefined): StateOrSnapshot<T> {
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

/** The map as it is now, to compare with a later one: its owner may change a Map and emit it again. */
export function unchanging<T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return map instanceof Snapshot ? map : new Map(map);
}

export function isState<T>(known: StateOrSnapshot<T>): known is PrefixState<T> {
  if (isMap(known) || typeof known !== 'object' || (known as object | null) === null) return false;
  const { status } = known as Partial<PrefixState<T>>;
  if (status === 'pending') return true;
  return (status === 'live' || status === 'stale') && isMap((known as { readonly snapshot?: unknown }).snapshot);
}
