import type { Codec } from '../codecs/codec.ts';
import { TEXT } from '../codecs/text.ts';
import { RxEtcdError, quoted, reasonOf } from '../errors.ts';
import type { Fingerprint, WireEntry, WireEvent } from '../etcd/member.ts';
import { SnapshotEntry, textOf } from './snapshot-entry.ts';
import { Snapshot, type EntryChange } from './snapshot.ts';

/** A range as etcd told it: decoded, and with what a resume needs. */
export interface RangeContents<T> {
  readonly snapshot: Snapshot<T>;
  /** Keys whose values could not be decoded. */
  readonly rejected: Snapshot<RxEtcdError>;
  /** Keys that are no instances, by the codec's word. */
  readonly skipped: Snapshot<undefined>;
  /** The revision these contents are of: at or after `snapshot.revision`, which is that of their last change. */
  readonly position: number;
}

/** The events that these contents do not hold yet. Revisions rise, so the first event mostly tells that all are new. */
export function freshEvents<T>(contents: RangeContents<T>, events: readonly WireEvent[]): readonly WireEvent[] {
  const isFresh = (event: WireEvent): boolean => event.modRevision > contents.position;
  const [first] = events;
  return first === undefined || isFresh(first) ? events : events.filter(isFresh);
}

/** The contents after whole revisions of events, all of them fresh. */
export function applyEvents<T>(
  contents: RangeContents<T>,
  events: readonly WireEvent[],
  codec: Codec<T>,
): RangeContents<T> {
  const revision = events.at(-1)?.modRevision ?? contents.position;
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
 * Whether a new list can be of the history that these contents are of. Each entry written up to their position must be
 * known, with the same bytes; at that very revision none may be missing. At a later one it may have been deleted. O(n).
 */
export function isContinuation<T>(known: RangeContents<T>, listed: RangeContents<T>): boolean {
  if (listed.position < known.position) return false;
  if (listed.position === known.position && sizeOf(listed) !== sizeOf(known)) return false;
  let continues = true;
  for (const part of PARTS) {
    Snapshot.diff<unknown>(known[part], listed[part], (key, before, after) => {
      if (after === undefined || after.modRevision > known.position) return;
      // A codec that changes its mind moves a key from part to part: then its write alone can be compared.
      if (before === undefined) continues &&= knownOf(known, key)?.isSameWrite(after) === true;
      else continues &&= before.isSameWrite(after) && before.isSameValue(after);
    });
  }
  return continues;
}

/**
 * A new list of the same history, in which unchanged entries stay the very same objects: then the difference is cheap
 * to find, and without any difference the snapshot itself stays.
 */
export function keepUnchanged<T>(known: RangeContents<T>, listed: RangeContents<T>): RangeContents<T> {
  return {
    snapshot: keepEqual(known.snapshot, listed.snapshot),
    rejected: keepEqual(known.rejected, listed.rejected),
    skipped: keepEqual(known.skipped, listed.skipped),
    position: listed.position,
  };
}

/**
 * Whether the server's answer matches these contents: the same count, the same newest entry, and where the answer has
 * them the same keys, written at the same revisions under the same leases. O(n).
 *
 * Servers from 3.7 on can leave the leases out of an answer that has keys alone. Then none of the keys has one, and
 * revisions are compared alone; the newest entry comes whole, so its lease is always compared.
 */
export function matches<T>(contents: RangeContents<T>, answer: Fingerprint): boolean {
  const { count, newest, keys = [] } = answer;
  if (count !== sizeOf(contents)) return false;
  if (newest === undefined) return count === 0;
  if (keys.length > 0 && new Set(keys.map(({ key }) => key)).size !== count) return false;
  let highest = 0;
  for (const part of PARTS)
    for (const [, { modRevision }] of Snapshot.records<unknown>(contents[part]))
      highest = Math.max(highest, modRevision);
  if (highest !== newest.modRevision) return false;
  // One transaction gives several keys the same revision, and etcd may name any of them as the newest.
  const same = knownOf(contents, newest.key);
  if (same === undefined || !same.isWriteOf(newest) || !same.isValueOf(newest)) return false;
  const withLeases = keys.some(({ lease }) => lease !== '0');
  return keys.every((written) => {
    const known = knownOf(contents, written.key);
    return withLeases ? known?.isWriteOf(written) === true : known?.modRevision === written.modRevision;
  });
}

const PARTS = ['snapshot', 'rejected', 'skipped'] as const;

function sizeOf({ snapshot, rejected, skipped }: RangeContents<unknown>): number {
  return snapshot.size + rejected.size + skipped.size;
}

function knownOf(
  { snapshot, rejected, skipped }: RangeContents<unknown>,
  key: string,
): SnapshotEntry<unknown> | undefined {
  return Snapshot.record(snapshot, key) ?? Snapshot.record(rejected, key) ?? Snapshot.record(skipped, key);
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
