import type { TxnRequest } from '../wire/kv-messages.ts';
import type { CallHandlers } from '../wire/grpc-server.ts';
import { etcdError } from './etcd-errors.ts';
import { headerOf, unary, type MemberView } from './member-view.ts';
import { answerRange, checkRange } from './range.ts';
import { checkDelete, checkPut, checkTxn, deleteRange, put, runTxn } from './txn.ts';

type KvService = Pick<CallHandlers, 'Range' | 'Put' | 'DeleteRange' | 'Txn' | 'Compact'>;

/** etcd's default for `--max-request-bytes`. */
const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

export function kvService(member: MemberView): KvService {
  const { core } = member;
  const { store, leases, behavior } = core;
  return {
    Range: unary((request) => {
      checkRange(request, behavior);
      return { header: headerOf(member), ...answerRange(store, request, behavior) };
    }),
    Put: unary((request) => {
      checkPut(request);
      checkSize(request.value.length + request.key.length);
      core.checkSpace();
      const response = store.write((transaction) => put(transaction, request, leases));
      return { ...response, header: headerOf(member) };
    }),
    DeleteRange: unary((request) => {
      checkDelete(request);
      const response = store.write((transaction) => deleteRange(transaction, request));
      return { ...response, header: headerOf(member) };
    }),
    Txn: unary((request) => {
      checkTxn(request, behavior);
      checkSize(sizeOf(request));
      if (hasPut(request)) core.checkSpace();
      const response = runTxn(store, request, leases, behavior);
      return { ...response, header: headerOf(member) };
    }),
    Compact: unary((request) => {
      store.compact(request.revision);
      return { header: headerOf(member) };
    }),
  };
}

function checkSize(bytes: number): void {
  if (bytes > MAX_REQUEST_BYTES) throw etcdError('requestTooLarge');
}

// Keys and values make up the size of a request.
function sizeOf({ success, failure }: TxnRequest): number {
  let bytes = 0;
  for (const { put: request, txn } of [...success, ...failure]) {
    if (request !== undefined) bytes += request.key.length + request.value.length;
    if (txn !== undefined) bytes += sizeOf(txn);
  }
  return bytes;
}

function hasPut({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].some((op) => op.put !== undefined || (op.txn !== undefined && hasPut(op.txn)));
}
