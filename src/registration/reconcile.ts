import { quoted } from '../errors.ts';
import { encodeKey } from '../etcd/keys.ts';
import type {
  KeyRange,
  TxnAnswer,
  TxnCompare,
  TxnOperation,
  TxnRequest,
  WatchMessage,
  WireEntry,
} from '../etcd/member.ts';

/**
 * What to do about a key that belongs to somebody else.
 *
 * - `replace`: take it over. Who takes it over later is the owner, and is left alone until the key is free.
 * - `wait`: stand by until it is free.
 * - `fail`: end with a `key-conflict` error.
 */
export type ConflictPolicy = 'replace' | 'wait' | 'fail';

export interface RegisteredKey {
  readonly name: string;
  /** With the namespace. */
  readonly bytes: Uint8Array;
  readonly namespaceBytes: number;
}

export type ObservedEntry = Pick<WireEntry, 'value' | 'lease' | 'modRevision'>;

/** The content of a key at the revision `asOf`. */
export interface ObservedKey {
  readonly asOf: number;
  readonly entry: ObservedEntry | undefined;
  /** Told by the watch, and not only by the answer to a write. */
  readonly watched: boolean;
}

/** A key that is ours, is to be ours, or was ours and is to be removed. */
export interface TrackedKey {
  readonly key: RegisteredKey;
  /** `undefined` to have no key. */
  readonly desired: Uint8Array | undefined;
  /** `undefined` before the first answer. */
  readonly observed: ObservedKey | undefined;
  /** What we wrote last: any other content is interference. */
  readonly lastWritten: Uint8Array | undefined;
  /** The key was ours and was not given up since: a foreign owner came after us. */
  readonly wasOurs: boolean;
  /** The first revision that the watch on it tells of; `undefined` while there is no watch. */
  readonly watchedFrom: number | undefined;
}

export interface ReconcileInput {
  readonly tracked: readonly TrackedKey[];
  readonly leaseId: string;
  /** The lease of this registration before the present one, which is gone. */
  readonly formerLease: string | undefined;
  readonly onConflict: ConflictPolicy;
  /** A key overwritten without a lease is written again, so often and no more. */
  readonly mayRepair: boolean;
}

export type Plan =
  | { readonly type: 'in-sync' }
  | { readonly type: 'write'; readonly request: TxnRequest }
  | { readonly type: 'conflict'; readonly key: string; readonly lease: string };

/** What remains to be done for the keys to be as desired: pure, all or nothing, and never against the policy. */
export function reconcile(input: ReconcileInput): Plan {
  const { tracked, leaseId } = input;
  const foreign = tracked.find((each) => each.desired !== undefined && isForeign(input, each));
  if (tracked.some(({ observed }) => observed === undefined)) {
    // Mostly the unknown keys are free, and then one request does.
    const isHopeful = foreign === undefined && tracked.every((each) => each.desired ?? each.observed);
    if (!isHopeful) return { type: 'write', request: { when: [], then: reads(tracked) } };
  }
  const writes = tracked.flatMap(({ key, desired, observed }): TxnOperation[] => {
    const entry = observed?.entry;
    const value = foreign === undefined ? desired : undefined;
    if (value === undefined) {
      return entry !== undefined && isOwn(input, entry.lease) ? [{ type: 'delete', key: key.bytes }] : [];
    }
    return entry?.lease === leaseId && equalBytes(entry.value, value)
      ? []
      : [{ type: 'put', key: key.bytes, value, leaseId }];
  });
  if (writes.length > 0) {
    // Compared with what was observed: nothing that somebody else did meanwhile is overwritten, and a request
    // that got stuck on a former connection and arrives late does nothing.
    const when = tracked.map(({ key, observed }): TxnCompare => {
      if (observed === undefined) return { key: key.bytes, target: 'create', equals: 0 };
      return { key: key.bytes, target: 'mod', equals: observed.entry?.modRevision ?? 0 };
    });
    return { type: 'write', request: { when, then: writes, otherwise: reads(tracked) } };
  }
  if (foreign === undefined) return { type: 'in-sync' };
  return { type: 'conflict', key: foreign.key.name, lease: foreign.observed?.entry?.lease ?? '0' };
}

/**
 * Why an answer cannot be one to this request, or `undefined`: a server or what stands before it may lie.
 *
 * @param knownRevision the highest revision known when the request was sent: a write makes a later one.
 */
export function answerFlaw(request: TxnRequest, answer: TxnAnswer, knownRevision: number): string | undefined {
  const { succeeded, revision, results } = answer;
  if (!isRevision(revision)) return `a revision of ${revision}`;
  const operations = succeeded ? request.then : request.otherwise;
  if (operations === undefined) return 'a comparison that failed, where nothing was compared';
  if (results.length !== operations.length) return `${results.length} results in place of ${operations.length}`;
  if (operations.some(({ type }) => type !== 'get') && revision <= knownRevision) {
    return `revision ${revision} for a write after revision ${knownRevision}`;
  }
  for (const [index, entries] of results.entries()) {
    const operation = operations[index] as TxnOperation;
    const [entry] = entries;
    if (entry === undefined) continue;
    if (operation.type !== 'get' || entries.length > 1 || !isKeyOf(operation.range, entry.key)) {
      return 'entries that were not asked for';
    }
    if (!isRevision(entry.modRevision) || entry.modRevision > revision) {
      return `an entry of revision ${entry.modRevision} at revision ${revision}`;
    }
  }
  return undefined;
}

/** The keys after an answer to a request of {@link reconcile}. What the watch told of later stays. */
export function observedAfter(
  tracked: readonly TrackedKey[],
  request: TxnRequest,
  answer: TxnAnswer,
): readonly TrackedKey[] {
  const asOf = answer.revision;
  const operations = answer.succeeded ? request.then : (request.otherwise ?? []);
  const byKey = new Map<Uint8Array, number>();
  for (const [index, operation] of operations.entries()) {
    byKey.set(operation.type === 'get' ? operation.range.key : operation.key, index);
  }
  const compared = new Set(request.when.map(({ key }) => key));
  return tracked.map((each): TrackedKey => {
    const before = each.observed;
    const index = byKey.get(each.key.bytes);
    const operation = index === undefined ? undefined : operations[index];
    // A key that came to be tracked while the request was under way is no part of it.
    if (operation === undefined && !compared.has(each.key.bytes)) return each;
    const isNewer = before !== undefined && before.asOf >= asOf;
    switch (operation?.type) {
      case 'get': {
        if (isNewer) return each;
        const found = answer.results[index as number]?.[0];
        const entry = found && entryToKeep(found);
        // The watch does not repeat what it told.
        const watched = before?.watched === true && before.entry?.modRevision === entry?.modRevision;
        return { ...each, observed: { asOf, entry, watched } };
      }
      case 'put': {
        const { value, leaseId = '0' } = operation;
        const observed = { asOf, entry: { value, lease: leaseId, modRevision: asOf }, watched: false };
        return { ...each, observed: isNewer ? before : observed, lastWritten: value };
      }
      case 'delete':
        return {
          ...each,
          observed: isNewer ? before : { asOf, entry: undefined, watched: false },
          lastWritten: undefined,
        };
      case undefined:
        // Compared and left as it was.
        if (isNewer) return each;
        return { ...each, observed: { asOf, entry: before?.entry, watched: before?.watched ?? false } };
    }
  });
}

/** What is known of a key after its watch told of something. */
export function observedByWatch(known: ObservedKey, message: WatchMessage, startRevision: number): ObservedKey {
  // The watch starts after the revision we read and will not repeat it; that it was created confirms the state.
  if (message.type === 'created') return known.asOf < startRevision ? { ...known, watched: true } : known;
  let told = known;
  for (const event of message.events) {
    if (event.modRevision < told.asOf) {
      // Read before it was told of.
      if (event.type === 'put' && event.modRevision === told.entry?.modRevision) told = { ...told, watched: true };
      continue;
    }
    const entry = event.type === 'put' ? entryToKeep(event) : undefined;
    told = { asOf: event.modRevision, entry, watched: true };
  }
  return told;
}

function isOwn({ leaseId, formerLease }: Pick<ReconcileInput, 'leaseId' | 'formerLease'>, lease: string): boolean {
  return lease === leaseId || lease === formerLease;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Why a key is not what we wrote, when it is not. */
export function interference(input: ReconcileInput): string | undefined {
  for (const { key, observed, lastWritten } of input.tracked) {
    if (lastWritten === undefined || observed === undefined) continue;
    const name = quoted(key.name);
    const { entry } = observed;
    if (entry === undefined) return `key ${name} was deleted: by somebody else, or with its lease`;
    if (!isOwn(input, entry.lease) || !equalBytes(entry.value, lastWritten)) {
      return `key ${name} was overwritten by somebody else`;
    }
  }
  return undefined;
}

/** A value off the wire is a view of what the socket read, 64 kB that would be kept for each of ten thousand keys. */
function entryToKeep({ value, lease, modRevision }: ObservedEntry): ObservedEntry {
  return { value: Buffer.from(value), lease, modRevision };
}

function reads(tracked: readonly TrackedKey[]): TxnOperation[] {
  return tracked.map(({ key }) => ({ type: 'get', range: { key: key.bytes, namespaceBytes: key.namespaceBytes } }));
}

function isForeign(input: ReconcileInput, { observed, wasOurs }: TrackedKey): boolean {
  const entry = observed?.entry;
  if (entry === undefined || isOwn(input, entry.lease)) return false;
  if (input.onConflict !== 'replace') return true;
  // The former owner yields to the newcomer; without a lease it was a hand, which may not have meant it.
  return wasOurs && !(entry.lease === '0' && input.mayRepair);
}

function isRevision(revision: number): boolean {
  return Number.isSafeInteger(revision) && revision > 0;
}

function isKeyOf({ key, namespaceBytes }: KeyRange, name: string): boolean {
  return equalBytes(encodeKey(name), key.subarray(namespaceBytes));
}
