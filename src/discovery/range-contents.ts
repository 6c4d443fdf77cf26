import { isDeepStrictEqual } from 'node:util';
import type { Codec } from '../codecs/codec.ts';
import { TEXT } from '../codecs/text.ts';
import { RxEtcdError, reasonOf } from '../errors.ts';
import type { Fingerprint, WireEntry, WireEvent } from '../etcd/member.ts';
import { SnapshotEntry } from './snapshot-entry.ts';
import { Snapshot, type EntryChange } from './snapshot.ts';

/** What etcd holds under a prefix, as far as it has been told: decoded, and with what a resume needs. */
export interface RangeContents<T> {
  readonly snapshot: Snapshot<T>;
  /** Keys whose values could not be decoded. */
  readonly rejected: Snapshot<RxEtcdError>;
  /** Keys that are no instances, by the codec's word. */
  readonly skipped: Snapshot<undefined>;
  /** The revision these contents are known to be of. At or after `snapshot.revision`, the revision of their last change. */
  readonly position: number;
}

/** The contents after whole revisions of events. Events already contained are left out. */
export function applyEvents<T>(
  contents: RangeContents<T>,
  events: readonly WireEvent[],
  codec: Codec<T>,
): RangeContents<T> {
  const last = events.at(-1);
  const isFresh = (event: WireEvent): boolean => event.modRevision > contents.position;
  if (last === undefined || !isFresh(last)) return contents;
  // Revisions rise: the first event tells whether any is known already, which is rare.
  const fresh = isFresh(events[0] as WireEvent) ? events : events.filter(isFresh);
  return change(contents, fresh, last.modRevision, codec);
}

/** A list on its way in, page by page. */
export interface ListInProgress<T> {
  /** How many keys there are so far. */
  readonly size: number;
  add(page: readonly WireEntry[], revision: number): void;
  /** Of no use afterwards. */
  done(): RangeContents<T>;
}

export function newList<T>(codec: Codec<T>): ListInProgress<T> {
  const instances = listRoom<T>();
  const rejected = listRoom<RxEtcdError>();
  const skipped = listRoom<undefined>();
  let position = 0;
  return {
    get size() {
      return instances.keys.length + rejected.keys.length + skipped.keys.length;
    },
    add(page, revision) {
      position = revision;
      for (const entry of page) {
        const decoded = decode(entry, codec);
        if (decoded.type === 'instance') addTo(instances, entry, decoded.value);
        else if (decoded.type === 'rejected') addTo(rejected, entry, decoded.error);
        else addTo(skipped, entry, undefined);
      }
    },
    done: () => ({
      snapshot: Snapshot.listed(instances.keys, instances.entries, position),
      rejected: Snapshot.listed(rejected.keys, rejected.entries, position),
      skipped: Snapshot.listed(skipped.keys, skipped.entries, position),
      position,
    }),
  };
}

interface ListRoom<V> {
  readonly keys: string[];
  readonly entries: SnapshotEntry<V>[];
}

function listRoom<V>(): ListRoom<V> {
  return { keys: [], entries: [] };
}

function addTo<V>({ keys, entries }: ListRoom<V>, entry: WireEntry, value: V): void {
  keys.push(entry.key);
  entries.push(SnapshotEntry.of(value, entry));
}

/**
 * The contents after a new list. What is unchanged stays the very same, so that the difference is cheap to
 * find; without any difference the snapshot itself stays, unless `replaced`: then its revision counts anew.
 */
export function replaceContents<T>(
  known: RangeContents<T>,
  listed: RangeContents<T>,
  codec: Codec<T>,
  replaced: boolean,
): RangeContents<T> {
  if (replaced) return listed;
  return {
    snapshot: keepEqual(known.snapshot, listed.snapshot, (a, b) => sameValue(a, b, codec)),
    rejected: keepEqual(known.rejected, listed.rejected, (a, b) => a.value.message === b.value.message),
    skipped: keepEqual(known.skipped, listed.skipped, () => true),
    position: listed.position,
  };
}

/**
 * Whether the server's answer fits these contents: the same count, the same newest entry, and where the answer has
 * them the same keys, written at the same revisions under the same leases. O(n).
 */
export function fits<T>(contents: RangeContents<T>, answer: Fingerprint, codec: Codec<T>): boolean {
  const { snapshot, rejected, skipped } = contents;
  const all: readonly Snapshot<unknown>[] = [snapshot, rejected, skipped];
  if (answer.count !== all.reduce((count, part) => count + part.size, 0)) return false;
  const { newest, keys = [] } = answer;
  if (newest === undefined) return true;
  let highest = 0;
  for (const part of all)
    for (const [, { modRevision }] of Snapshot.records(part)) highest = Math.max(highest, modRevision);
  // One transaction gives several keys the same revision, and etcd may name any of them.
  const isKnown = (written: WireEntry): boolean =>
    all.some((part) => Snapshot.entry(part, written.key)?.isSameWrite(SnapshotEntry.of(undefined, written)));
  if (highest !== newest.modRevision) return false;
  if (![newest, ...keys].every(isKnown)) return false;
  const instance = Snapshot.entry(snapshot, newest.key);
  const decoded = decode(newest, codec);
  if (instance === undefined) return decoded.type !== 'instance';
  return decoded.type === 'instance' && sameValue(instance, decoded, codec);
}

function change<T>(
  contents: RangeContents<T>,
  events: readonly WireEvent[],
  revision: number,
  codec: Codec<T>,
): RangeContents<T> {
  const instances = Snapshot.draft(contents.snapshot);
  const rejected = Snapshot.draft(contents.rejected);
  const skipped = Snapshot.draft(contents.skipped);
  for (const event of events) {
    const { key } = event;
    const decoded = event.type === 'delete' ? undefined : decode(event, codec);
    if (decoded?.type === 'instance') instances.set(key, SnapshotEntry.of(decoded.value, event));
    else instances.delete(key);
    if (decoded?.type === 'rejected') rejected.set(key, SnapshotEntry.of(decoded.error, event));
    else rejected.delete(key);
    if (decoded?.type === 'skipped') skipped.set(key, SnapshotEntry.of(undefined, event));
    else skipped.delete(key);
  }
  return {
    snapshot: instances.done(revision),
    rejected: rejected.done(revision),
    skipped: skipped.done(revision),
    position: revision,
  };
}

type Decoded<T> =
  | { readonly type: 'instance'; readonly value: T }
  | { readonly type: 'skipped' }
  | { readonly type: 'rejected'; readonly error: RxEtcdError };

function decode<T>(entry: WireEntry, codec: Codec<T>): Decoded<T> {
  try {
    const text = (codec as Codec<unknown>) === TEXT ? entry.text : undefined;
    const value = (text as T | undefined) ?? codec.decode(entry.value, entry.key);
    return value === undefined ? { type: 'skipped' } : { type: 'instance', value };
  } catch (cause) {
    return {
      type: 'rejected',
      error: new RxEtcdError('decode-failed', `the value of ${JSON.stringify(entry.key)}: ${reasonOf(cause)}`, {
        cause,
      }),
    };
  }
}

function keepEqual<V>(
  known: Snapshot<V>,
  listed: Snapshot<V>,
  equal: (a: SnapshotEntry<V>, b: SnapshotEntry<V>) => boolean,
): Snapshot<V> {
  const differences: EntryChange<V>[] = [];
  Snapshot.diff(known, listed, (key, before, after) => {
    if (before === undefined || after === undefined || !before.isSameWrite(after) || !equal(before, after)) {
      differences.push([key, after]);
    }
  });
  return differences.length === 0 ? known : Snapshot.change(known, differences, listed.revision);
}

/**
 * Whether two values are the same by their bytes. The revision alone does not tell: another history
 * can have written something else at the very same one (seen with a wiped server that had caught up).
 */
function sameValue<T>(
  a: Pick<SnapshotEntry<T>, 'value'>,
  b: Pick<SnapshotEntry<T>, 'value'>,
  codec: Codec<T>,
): boolean {
  if (Object.is(a.value, b.value)) return true;
  try {
    return Buffer.compare(codec.encode(a.value, ''), codec.encode(b.value, '')) === 0;
  } catch {
    // A codec made for reading alone. Taken as changed, every reconnect would look like another history.
    return isDeepStrictEqual(a.value, b.value);
  }
}
