import type { TxnCompare, TxnOperation, TxnRequest, WatchMessage, WireEntry } from '../etcd/member.ts';

/**
 * What to do about a key that belongs to somebody else.
 *
 * - `replace`: take it over. Whoever takes it over later is the owner, and is left alone until it goes.
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

export type SeenEntry = Pick<WireEntry, 'value' | 'lease' | 'modRevision'>;

/** What is known of a key: what it held at the revision `asOf`. */
export interface SeenKey {
  readonly asOf: number;
  readonly entry: SeenEntry | undefined;
  /** Told by the watch, and not only by the answer to a write. */
  readonly watched: boolean;
}

export interface Situation {
  readonly keys: readonly RegisteredKey[];
  /** One for each key; `undefined` before the first answer. */
  readonly seen: readonly SeenKey[] | undefined;
  /** The value of each key; `undefined` to have no key. */
  readonly wanted: readonly Uint8Array[] | undefined;
  readonly leaseId: string;
  /** The lease of this registration before the present one, which is gone. */
  readonly formerLease: string | undefined;
  readonly policy: ConflictPolicy;
  /** Whether another owner's key may be taken over now: under `replace`, as long as it came before us. */
  readonly mayTakeOver: (entry: Pick<WireEntry, 'lease'>) => boolean;
}

export type KeyPlan =
  | { readonly type: 'settled' }
  | { readonly type: 'write'; readonly request: TxnRequest }
  /** Some other owner's key is in the way. */
  | { readonly type: 'conflict'; readonly key: string; readonly lease: string };

/** What remains to be done for the keys to be as wanted: pure, all or nothing, and never against the policy. */
export function planKeys(situation: Situation): KeyPlan {
  const { keys, seen, wanted, leaseId } = situation;
  if (seen === undefined) return { type: 'write', request: firstRequest(situation) };
  const foreign = keys.findIndex((_, index) => isForeign(situation, index));
  const conflict = wanted !== undefined && foreign >= 0;
  const writes = keys.flatMap((key, index): TxnOperation[] => {
    const entry = seen[index]?.entry;
    const value = conflict ? undefined : wanted?.[index];
    if (value === undefined) {
      return entry !== undefined && isOwn(situation, entry.lease) ? [{ type: 'delete', key: key.bytes }] : [];
    }
    return entry?.lease === leaseId && equalBytes(entry.value, value)
      ? []
      : [{ type: 'put', key: key.bytes, value, leaseId }];
  });
  if (writes.length > 0) {
    // Compared with what was seen: nothing that somebody else did meanwhile is overwritten, and a request
    // that got stuck on a former connection and arrives late does nothing.
    const when = keys.map(({ bytes }, index): TxnCompare => ({
      key: bytes,
      target: 'mod',
      equals: seen[index]?.entry?.modRevision ?? 0,
    }));
    return { type: 'write', request: { when, then: writes, otherwise: reads(keys) } };
  }
  return conflict
    ? { type: 'conflict', key: keys[foreign]?.name ?? '', lease: seen[foreign]?.entry?.lease ?? '0' }
    : { type: 'settled' };
}

/** What is known after an answer to a request of {@link planKeys}. What the watch told later stays. */
export function seenAfter(
  situation: Situation,
  request: TxnRequest,
  answer: {
    readonly succeeded: boolean;
    readonly revision: number;
    readonly results: readonly (readonly WireEntry[])[];
  },
): readonly SeenKey[] {
  const { keys, seen } = situation;
  const asOf = answer.revision;
  const operations = answer.succeeded ? request.then : (request.otherwise ?? []);
  return keys.map((key, index) => {
    const before = seen?.[index];
    if (before !== undefined && before.asOf >= asOf) return before;
    if (operations[0]?.type === 'get') {
      const found = answer.results[index]?.[0];
      const entry = found && entryToKeep(found);
      // What the watch told of, it does not tell again.
      const watched = before?.watched === true && before.entry?.modRevision === entry?.modRevision;
      return { asOf, entry, watched };
    }
    const operation = operations.find((each) => each.type !== 'get' && each.key === key.bytes);
    switch (operation?.type) {
      case 'put':
        return {
          asOf,
          entry: { value: operation.value, lease: operation.leaseId ?? '0', modRevision: asOf },
          watched: false,
        };
      case 'delete':
        return { asOf, entry: undefined, watched: false };
      default:
        return before === undefined ? { asOf, entry: undefined, watched: false } : { ...before, asOf };
    }
  });
}

/** What is known of a key after its watch told of something. */
export function seenFromWatch(known: SeenKey, message: WatchMessage, startRevision: number): SeenKey {
  // A watch from behind what was read has nothing to tell of it: that it runs is enough.
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

/** A value off the wire is a view of what the socket read, 64 kB that would be kept for each of ten thousand keys. */
function entryToKeep({ value, lease, modRevision }: SeenEntry): SeenEntry {
  return { value: Buffer.from(value), lease, modRevision };
}

export function isOwn({ leaseId, formerLease }: Situation, lease: string): boolean {
  return lease === leaseId || lease === formerLease;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

// Nothing is known yet. Mostly the keys are free, and then one request does.
function firstRequest({ keys, wanted, leaseId }: Situation): TxnRequest {
  if (wanted === undefined) return { when: [], then: reads(keys) };
  return {
    when: keys.map(({ bytes }) => ({ key: bytes, target: 'create', equals: 0 })),
    then: keys.map(({ bytes }, index) => ({ type: 'put', key: bytes, value: wanted[index] as Uint8Array, leaseId })),
    otherwise: reads(keys),
  };
}

function reads(keys: readonly RegisteredKey[]): TxnOperation[] {
  return keys.map(({ bytes, namespaceBytes }) => ({ type: 'get', range: { key: bytes, namespaceBytes } }));
}

function isForeign(situation: Situation, index: number): boolean {
  const entry = situation.seen?.[index]?.entry;
  if (entry === undefined || isOwn(situation, entry.lease)) return false;
  return situation.policy !== 'replace' || !situation.mayTakeOver(entry);
}
