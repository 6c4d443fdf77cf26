import type { KeyValue, RangeRequest, RangeResponse } from '../wire/kv-messages.ts';
import { etcdError } from './etcd-errors.ts';
import { keyRange, valuesInRange } from './key-range.ts';
import type { KeyTree } from './mvcc-store.ts';
import type { Behavior } from './versions.ts';

/** What can be read: the store, or a transaction with what it wrote so far. */
export interface ReadView {
  readonly revision: number;
  treeAt(revision: number): KeyTree;
}

export function checkRange(request: RangeRequest, behavior: Behavior): void {
  if (request.key.length === 0) throw etcdError('keyEmpty');
  const isSortKnown = [0, 1, 2].includes(request.sortOrder) && request.sortTarget in ORDERS;
  if (behavior.checksSort && !isSortKnown) throw etcdError('invalidSort');
}

/** Answers a range request; its header is the caller's matter. Throws etcd's errors. */
export function answerRange(view: ReadView, request: RangeRequest, behavior: Behavior): Omit<RangeResponse, 'header'> {
  const { rangeEnd, limit, countOnly, keysOnly } = request;
  const isSingle = rangeEnd === undefined || (rangeEnd.length === 0 && behavior.takesEmptyEndForNone);
  const range = keyRange(request.key, isSingle ? undefined : rangeEnd);
  const found = [...valuesInRange(view.treeAt(request.revision), range)];
  if (countOnly) return { kvs: [], more: false, count: found.length };

  const sort = sortOf(request);
  // etcd reads one entry more than the limit before it sorts, unless the order or a bound needs all of them.
  const readsAll = limit <= 0 || request.sortOrder !== 0 || hasBounds(request);
  let kvs = (readsAll ? found : found.slice(0, limit + 1)).filter((kv) => isWithinBounds(kv, request));
  if (sort !== undefined) kvs.sort(sort);
  const more = limit > 0 && kvs.length > limit;
  if (more) kvs = kvs.slice(0, limit);
  if (keysOnly) kvs = kvs.map((kv) => withoutValue(kv, request, behavior));
  return { kvs, more, count: found.length };
}

type Order = (a: KeyValue, b: KeyValue) => number;

const ORDERS: readonly Order[] = [
  (a, b) => Buffer.compare(a.key, b.key),
  (a, b) => a.version - b.version,
  (a, b) => a.createRevision - b.createRevision,
  (a, b) => a.modRevision - b.modRevision,
  (a, b) => Buffer.compare(a.value, b.value),
];

const KEY = 0;
const VALUE = 4;
const DESCENDING = 2;

/** `undefined`: as they are, by key. */
function sortOf({ sortOrder, sortTarget }: RangeRequest): Order | undefined {
  const order = ORDERS[sortTarget];
  if (order === undefined || sortOrder < 0 || sortOrder > DESCENDING) return undefined;
  if (sortOrder === DESCENDING) return (a, b) => order(b, a);
  return sortTarget === KEY ? undefined : order;
}

function hasBounds(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

function isWithinBounds({ modRevision, createRevision }: KeyValue, request: RangeRequest): boolean {
  return (
    isWithin(modRevision, request.minModRevision, request.maxModRevision) &&
    isWithin(createRevision, request.minCreateRevision, request.maxCreateRevision)
  );
}

function isWithin(revision: number, min: number, max: number): boolean {
  return (min === 0 || revision >= min) && (max === 0 || revision <= max);
}

function withoutValue(kv: KeyValue, { sortTarget }: RangeRequest, { keysWithoutLease }: Behavior): KeyValue {
  const lease = keysWithoutLease && sortTarget !== VALUE ? 0n : kv.lease;
  return { ...kv, value: NO_VALUE, lease };
}

const NO_VALUE = Buffer.alloc(0);
