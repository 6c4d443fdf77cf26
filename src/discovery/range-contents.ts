import type { Codec } from '../codecs/codec.ts';
import { TEXT } from '../codecs/text.ts';
import { RxEtcdError, quoted, reasonOf } from '../errors.ts';
import type { Fingerprint, WireEntry, WireEvent } from '../etcd/member.ts';
import { SnapshotEntry, textOf } from './snapshot-entry.ts';
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
        if (decoded.type === 'instance') addTo(instances, entry.key, decoded.entry);
        else if (decoded.type === 'rejected') addTo(rejected, entry.key, decoded.entry);
        else addTo(skipped, entry.key, decoded.entry);
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

function addTo<V>({ keys, entries }: ListRoom<V>, key: string, entry: SnapshotEntry<V>): void {
  keys.push(key);
  entries.push(entry);
}

/**
 * The contents after a new list. What is unchanged stays the very same, so that the difference is cheap to
 * find; without any difference the snapshot itself stays, unless `replaced`: then its revision counts anew.
 */
export function replaceContents<T>(
  known: RangeContents<T>,
  listed: RangeContents<T>,
  replaced: boolean,
): RangeContents<T> {
  if (replaced) return listed;
  return {
    snapshot: keepEqual(known.snapshot, listed.snapshot),
    rejected: keepEqual(known.rejected, listed.rejected),
    skipped: keepEqual(known.skipped, listed.skipped),
    position: listed.position,
  };
}

/**
 * Whether the server's answer fits these contents: the same count, the same newest entry, and where the answer has
 * them the same keys, written at the same revisions under the same leases. O(n).
 */
export function fits<T>(contents: RangeContents<T>, answer: Fingerprint): boolean {
  const { snapshot, rejected, skipped } = contents;
  const all: readonly Snapshot<unknown>[] = [snapshot, rejected, skipped];
  if (answer.count !== all.reduce((count, part) => count + part.size, 0)) return false;
  const { newest, keys = [] } = answer;
  if (newest === undefined) return true;
  let highest = 0;
  for (const part of all)
    for (const [, { modRevision }] of Snapshot.records(part)) highest = Math.max(highest, modRevision);
  const knownOf = ({ key }: WireEntry): SnapshotEntry<unknown> | undefined =>
    Snapshot.entry<unknown>(snapshot, key) ?? Snapshot.entry(rejected, key) ?? Snapshot.entry(skipped, key);
  if (highest !== newest.modRevision) return false;
  // One transaction gives several keys the same revision, and etcd may name any of them.
  return (
    [newest, ...keys].every((written) => knownOf(written)?.isWriteOf(written)) &&
    knownOf(newest)?.isValueOf(newest) === true
  );
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
    if (decoded?.type === 'instance') instances.set(key, decoded.entry);
    else instances.delete(key);
    if (decoded?.type === 'rejected') rejected.set(key, decoded.entry);
    else rejected.delete(key);
    if (decoded?.type === 'skipped') skipped.set(key, decoded.entry);
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
  | { readonly type: 'instance'; readonly entry: SnapshotEntry<T> }
  | { readonly type: 'skipped'; readonly entry: SnapshotEntry<undefined> }
  | { readonly type: 'rejected'; readonly entry: SnapshotEntry<RxEtcdError> };

function decode<T>(written: WireEntry, codec: Codec<T>): Decoded<T> {
  if ((codec as Codec<unknown>) === TEXT) {
    return {
      type: 'instance',
      entry: SnapshotEntry.ofText(textOf(written), written) as SnapshotEntry<unknown> as SnapshotEntry<T>,
    };
  }
  const { key, value: bytes } = written;
  try {
    const value = codec.decode(bytes, key);
    return value === undefined
      ? { type: 'skipped', entry: SnapshotEntry.of(undefined, written, bytes) }
      : { type: 'instance', entry: SnapshotEntry.of(value, written, bytes) };
  } catch (cause) {
    const error = new RxEtcdError('decode-failed', `the value of ${quoted(key)}: ${reasonOf(cause)}`, { cause });
    return { type: 'rejected', entry: SnapshotEntry.of(error, written, bytes) };
  }
}

/** The known snapshot with what is new or another write; values are compared by their bytes, at no more than O(n). */
function keepEqual<V>(known: Snapshot<V>, listed: Snapshot<V>): Snapshot<V> {
  const differences: EntryChange<V>[] = [];
  Snapshot.diff(known, listed, (key, before, after) => {
    if (before === undefined || after === undefined || !before.isSameWrite(after) || !before.isSameValue(after)) {
      differences.push([key, after]);
    }
  });
  return differences.length === 0 ? known : Snapshot.change(known, differences, listed.revision);
}
