import type {
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../wire/kv-messages.ts';
import type { PartialMessage } from '../wire/protobuf.ts';
import { etcdError } from './etcd-errors.ts';
import { keyRange, keyText, valuesInRange, type KeyRange } from './key-range.ts';
import type { MvccStore, WriteTransaction } from './mvcc-store.ts';
import { answerRange, checkRange, type ReadView } from './range.ts';
import type { Behavior } from './versions.ts';

const MAX_OPS = 128;

/** What writes need to know of leases. */
export interface LeaseLookup {
  has(lease: bigint): boolean;
}

export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) throw etcdError('keyEmpty');
  if (request.ignoreValue && request.value.length > 0) throw etcdError('valueProvided');
  if (request.ignoreLease && request.lease !== 0n) throw etcdError('leaseProvided');
}

export function checkDelete(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw etcdError('keyEmpty');
}

/** What can be told of a transaction without looking at the store. Throws etcd's errors. */
export function checkTxn(request: TxnRequest, behavior: Behavior): void {
  checkOps(request, MAX_OPS, behavior);
  checkOverlaps(request.success);
  checkOverlaps(request.failure);
}

export function put(transaction: WriteTransaction, request: PutRequest, leases: LeaseLookup): PutResponse {
  const { ignoreValue, ignoreLease, prevKv } = request;
  const key = keyText(request.key);
  if (request.lease !== 0n && !leases.has(request.lease)) throw etcdError('leaseNotFound');
  const previous = transaction.tree.get(key);
  if ((ignoreValue || ignoreLease) && previous === undefined) throw etcdError('keyNotFound');
  const value = ignoreValue && previous !== undefined ? previous.value : request.value;
  const lease = ignoreLease && previous !== undefined ? previous.lease : request.lease;
  transaction.put(key, value, lease);
  return { header: headerOf(transaction.revision), prevKv: prevKv ? previous : undefined };
}

export function deleteRange(transaction: WriteTransaction, request: DeleteRangeRequest): DeleteRangeResponse {
  const deleted = transaction.delete(writtenRange(request));
  return {
    header: headerOf(transaction.revision),
    deleted: deleted.length,
    prevKvs: request.prevKv ? deleted : [],
  };
}

/** Does a transaction whole, or throws and changes nothing. All conditions are held against the state before it. */
export function runTxn(
  store: MvccStore,
  request: TxnRequest,
  leases: LeaseLookup,
  behavior: Behavior,
): PartialMessage<TxnResponse> {
  const plan = planOf(store, request);
  checkPlan(store, plan, leases);
  return store.write((transaction) => {
    const response = run(transaction, plan, leases, behavior);
    return { ...response, header: headerOf(transaction.revision) };
  });
}

/** The branch that is taken, with those of the transactions inside it. */
interface Plan {
  readonly succeeded: boolean;
  readonly ops: readonly (RequestOp | Plan)[];
}

function planOf(store: MvccStore, request: TxnRequest): Plan {
  const succeeded = request.compare.every((compare) => holds(store, compare));
  const branch = succeeded ? request.success : request.failure;
  return { succeeded, ops: branch.map((op) => (op.txn === undefined ? op : planOf(store, op.txn))) };
}

// In etcd's order: all puts first, then all ranges, and nothing is done before both are found to be possible.
function checkPlan(store: MvccStore, plan: Plan, leases: LeaseLookup): void {
  for (const { put: request } of opsOf(plan)) {
    if (request === undefined) continue;
    const isMissing = store.tree.get(keyText(request.key)) === undefined;
    if ((request.ignoreValue || request.ignoreLease) && isMissing) throw etcdError('keyNotFound');
    if (request.lease !== 0n && !leases.has(request.lease)) throw etcdError('leaseNotFound');
  }
  for (const { range } of opsOf(plan)) {
    if (range === undefined || range.revision === 0) continue;
    if (range.revision > store.revision) throw etcdError('futureRevision');
    if (range.revision < store.compactRevision) throw etcdError('compacted');
  }
}

function* opsOf(plan: Plan): Generator<RequestOp, undefined> {
  for (const op of plan.ops) {
    if ('ops' in op) yield* opsOf(op);
    else yield op;
  }
}

function run(
  transaction: WriteTransaction,
  plan: Plan,
  leases: LeaseLookup,
  behavior: Behavior,
): PartialMessage<TxnResponse> {
  const responses = plan.ops.map((op): PartialMessage<ResponseOp> => {
    if ('ops' in op) return { txn: { header: {}, ...run(transaction, op, leases, behavior) } };
    if (op.range !== undefined) {
      return { range: { header: headerOf(transaction.revision), ...answerRange(transaction, op.range, behavior) } };
    }
    if (op.put !== undefined) return { put: put(transaction, op.put, leases) };
    return { deleteRange: deleteRange(transaction, op.deleteRange as DeleteRangeRequest) };
  });
  return { succeeded: plan.succeeded, responses };
}

function holds(store: ReadView & { readonly tree: MvccStore['tree'] }, compare: Compare): boolean {
  const { rangeEnd } = compare;
  const range = keyRange(compare.key, rangeEnd === undefined || rangeEnd.length === 0 ? undefined : rangeEnd);
  const found = [...valuesInRange(store.tree, range)];
  // No value of a key that is not there compares; its numbers are 0.
  if (found.length === 0) return compare.target !== VALUE && comparesTo(ABSENT, compare);
  return found.every((kv) => comparesTo(kv, compare));
}

const VALUE = 3;
const ABSENT: KeyValue = {
  key: Buffer.alloc(0),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  value: Buffer.alloc(0),
  lease: 0n,
};

function comparesTo(kv: KeyValue, compare: Compare): boolean {
  const difference = differenceTo(kv, compare);
  switch (compare.result) {
    case 0:
      return difference === 0;
    case 1:
      return difference > 0;
    case 2:
      return difference < 0;
    case 3:
      return difference !== 0;
    default:
      return true;
  }
}

function differenceTo(kv: KeyValue, compare: Compare): number {
  switch (compare.target) {
    case 0:
      return kv.version - (compare.version ?? 0);
    case 1:
      return kv.createRevision - (compare.createRevision ?? 0);
    case 2:
      return kv.modRevision - (compare.modRevision ?? 0);
    case VALUE:
      return Buffer.compare(kv.value, compare.value ?? ABSENT.value);
    case 4: {
      const lease = compare.lease ?? 0n;
      return kv.lease === lease ? 0 : kv.lease > lease ? 1 : -1;
    }
    default:
      return 0;
  }
}

function checkOps(request: TxnRequest, maxOps: number, behavior: Behavior): void {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (count > maxOps) throw etcdError('tooManyOps');
  if (request.compare.some(({ key }) => key.length === 0)) throw etcdError('keyEmpty');
  for (const op of [...request.success, ...request.failure]) {
    if (op.range !== undefined) checkRange(op.range, behavior);
    else if (op.put !== undefined) checkPut(op.put);
    else if (op.deleteRange !== undefined) checkDelete(op.deleteRange);
    else if (op.txn !== undefined) checkOps(op.txn, maxOps - count, behavior);
    else throw etcdError('keyNotFound');
  }
}

/** What a list of operations puts and deletes, with the transactions inside it. */
interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

// No key may be written twice in one revision; of the two branches of a transaction only one is taken.
function checkOverlaps(ops: readonly RequestOp[]): Writes {
  const puts = new Set<string>();
  const deletes = ops.flatMap(({ deleteRange: request }) => (request === undefined ? [] : [writtenRange(request)]));
  const add = (key: string, isAllowedTwice: boolean): void => {
    if (puts.has(key) && !isAllowedTwice) throw etcdError('duplicateKey');
    if (deletes.some((range) => deletesKey(range, key))) throw etcdError('duplicateKey');
    puts.add(key);
  };
  for (const { txn } of ops) {
    if (txn === undefined) continue;
    const then = checkOverlaps(txn.success);
    const otherwise = checkOverlaps(txn.failure);
    for (const key of then.puts) add(key, false);
    for (const key of otherwise.puts) add(key, then.puts.has(key));
    deletes.push(...then.deletes, ...otherwise.deletes);
  }
  for (const { put: request } of ops) if (request !== undefined) add(keyText(request.key), false);
  return { puts, deletes };
}

// An end of one zero byte is taken as it stands here, so nothing is found to be in such a range: etcd does the same.
function deletesKey({ start, end }: KeyRange, key: string): boolean {
  if (end === undefined) return key === start;
  return end !== '' && start <= key && key < end;
}

// A write goes through etcd's log, and an empty end does not come out of it.
function writtenRange({ key, rangeEnd }: DeleteRangeRequest): KeyRange {
  return keyRange(key, rangeEnd === undefined || rangeEnd.length === 0 ? undefined : rangeEnd);
}

function headerOf(revision: number): { readonly clusterId: 0n; readonly memberId: 0n; revision: number; raftTerm: 0 } {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}
