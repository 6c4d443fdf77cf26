import type { Codec } from '../codecs/codec.ts';
import { RxEtcdError } from '../errors.ts';
import type { Fingerprint, WireEntry, WireEvent } from '../etcd/link.ts';
import { Snapshot, type EntryChange } from './snapshot.ts';

/** What etcd holds under a prefix, as far as it has been told: decoded, and with what a resume needs. */
export interface PrefixContents<T> {
  readonly snapshot: Snapshot<T>;
  /** Keys whose values could not be decoded. */
  readonly rejected: Snapshot<RxEtcdError>;
  /** Keys that are no instances, by the codec's word. */
  readonly skipped: Snapshot<undefined>;
  /** The revision these contents are known to be of. At or after `snapshot.revision`, the revision of their last change. */
  readonly position: number;
  /** The entry changed last, when it is known whole. */
  readonly newest: WireEntry | undefined;
}

export function emptyContents<T>(): PrefixContents<T> {
  return { snapshot: Snapshot.of<T>([]), rejected: Snapshot.of<RxEtcdError>([]), skipped: Snapshot.of<undefined>([]), position: 0, newest: undefined };
}

/** The contents after whole revisions of events. Events already contained are left out. */
export function applyEvents<T>(contents: PrefixContents<T>, events: readonly WireEvent[], codec: Codec<T>): PrefixContents<T> {
  const fresh = events.filter((event) => event.modRevision > contents.position);
  const last = fresh.at(-1);
  if (last === undefined) return contents;
  return change(contents, fresh, last.modRevision, codec);
}

/** The contents with another page of a list. */
export function addPage<T>(contents: PrefixContents<T>, entries: readonly WireEntry[], revision: number, codec: Codec<T>): PrefixContents<T> {
  return change(contents, entries.map((entry) => ({ type: 'put', ...entry })), revision, codec);
}

/**
 * The contents after a new list. What is unchanged stays the very same, so that the difference is cheap to
 * find; without any difference the snapshot itself stays, unless `replaced`: then no old entry is trusted.
 */
export function replaceContents<T>(known: PrefixContents<T>, listed: PrefixContents<T>, replaced: boolean): PrefixContents<T> {
  if (replaced) return listed;
  return {
    snapshot: keepEqual(known.snapshot, listed.snapshot),
    rejected: keepEqual(known.rejected, listed.rejected),
    skipped: keepEqual(known.skipped, listed.skipped),
    position: listed.position,
    newest: listed.newest,
  };
}

/**
 * Whether the server's answer fits these contents: the same count, and the same newest entry. Where the
 * newest entry was deleted here, the next newest is known by its revision and lease only.
 */
export function fits<T>(contents: PrefixContents<T>, answer: Fingerprint): boolean {
  const { snapshot, rejected, skipped } = contents;
  if (answer.count !== snapshot.size + rejected.size + skipped.size) return false;
  const { newest } = answer;
  if (newest === undefined) return true;
  const known = contents.newest;
  if (known !== undefined) {
    return (
      known.key === newest.key &&
      known.modRevision === newest.modRevision &&
      known.createRevision === newest.createRevision &&
      known.lease === newest.lease &&
      Buffer.compare(known.value, newest.value) === 0
    );
  }
  // Rare: the newest entry was deleted here. Then all entries are looked at once.
  const entries = [...Snapshot.records<unknown>(snapshot), ...Snapshot.records<unknown>(rejected), ...Snapshot.records<unknown>(skipped)];
  const highest = entries.reduce((max, [, entry]) => Math.max(max, entry.modRevision), 0);
  const entry = entries.find(([key]) => key === newest.key)?.[1];
  return highest === newest.modRevision && entry?.modRevision === highest && entry.lease === newest.lease;
}

function change<T>(contents: PrefixContents<T>, events: readonly WireEvent[], revision: number, codec: Codec<T>): PrefixContents<T> {
  const instances: EntryChange<T>[] = [];
  const rejected: EntryChange<RxEtcdError>[] = [];
  const skipped: EntryChange<undefined>[] = [];
  let { newest } = contents;
  for (const event of events) {
    const { key } = event;
    const decoded = event.type === 'put' ? decode(event, codec) : undefined;
    const { modRevision, lease } = event;
    if (decoded?.type === 'instance') instances.push([key, { value: decoded.value, modRevision, lease }]);
    else if (instances.length > 0 || contents.snapshot.has(key)) instances.push([key, undefined]);
    if (decoded?.type === 'rejected') rejected.push([key, { value: decoded.error, modRevision, lease }]);
    else if (contents.rejected.size + rejected.length > 0) rejected.push([key, undefined]);
    if (decoded?.type === 'skipped') skipped.push([key, { value: undefined, modRevision, lease }]);
    else if (contents.skipped.size + skipped.length > 0) skipped.push([key, undefined]);
    newest = newestAfter(newest, event);
  }
  return {
    snapshot: instances.length === 0 && contents.position > 0 ? contents.snapshot : Snapshot.change(contents.snapshot, instances, revision),
    rejected: rejected.length === 0 ? contents.rejected : Snapshot.change(contents.rejected, rejected, revision),
    skipped: skipped.length === 0 ? contents.skipped : Snapshot.change(contents.skipped, skipped, revision),
    position: revision,
    newest: newest === contents.newest ? newest : owned(newest),
  };
}

function newestAfter(newest: WireEntry | undefined, event: WireEvent): WireEntry | undefined {
  if (event.type === 'delete') return newest?.key === event.key ? undefined : newest;
  return newest === undefined || event.modRevision >= newest.modRevision ? event : newest;
}

// A value may be a part of a whole message's memory: kept for long, it would keep the message.
function owned(entry: WireEntry | undefined): WireEntry | undefined {
  if (entry === undefined) return undefined;
  const { key, createRevision, modRevision, lease } = entry;
  return { key, createRevision, modRevision, lease, value: Uint8Array.from(entry.value) };
}

type Decoded<T> =
  | { readonly type: 'instance'; readonly value: T }
  | { readonly type: 'skipped' }
  | { readonly type: 'rejected'; readonly error: RxEtcdError };

function decode<T>(entry: WireEntry, codec: Codec<T>): Decoded<T> {
  try {
    const value = codec.decode(entry.value, entry.key);
    return value === undefined ? { type: 'skipped' } : { type: 'instance', value };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { type: 'rejected', error: new RxEtcdError('decode-failed', `the value of ${JSON.stringify(entry.key)}: ${reason}`, { cause }) };
  }
}

function keepEqual<V>(known: Snapshot<V>, listed: Snapshot<V>): Snapshot<V> {
  const differences: EntryChange<V>[] = [];
  Snapshot.diff(known, listed, (key, before, after) => {
    if (before?.modRevision !== after?.modRevision || before?.lease !== after?.lease) differences.push([key, after]);
  });
  return differences.length === 0 ? known : Snapshot.change(known, differences, listed.revision);
}
