/** Messages of etcd's KV service and of mvcc, by etcd's published definitions (rpc.proto, kv.proto). */
import { bool, bytes, id, int, MessageType, optional, repeated, sub, uint } from './protobuf.ts';

/**
 * Who answers, and at which revision.
 *
 * @source https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/
 */
export interface ResponseHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}
export const responseHeaderMessage: MessageType<ResponseHeader> = new MessageType('ResponseHeader', {
  clusterId: uint(1),
  memberId: uint(2),
  revision: int(3),
  raftTerm: int(4),
});

/** An entry as etcd sends it. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: bigint;
}
const keyValueMessage: MessageType<KeyValue> = new MessageType('KeyValue', {
  key: bytes(1),
  createRevision: int(2),
  modRevision: int(3),
  version: int(4),
  value: bytes(5),
  lease: id(6),
});

/** `type`: 0 put, 1 delete. */
export interface Event {
  readonly type: number;
  readonly kv: KeyValue | undefined;
  readonly prevKv: KeyValue | undefined;
}
export const eventMessage: MessageType<Event> = new MessageType('Event', {
  type: int(1),
  kv: sub(2, () => keyValueMessage),
  prevKv: sub(3, () => keyValueMessage),
});

/** `sortOrder`: 0 none, 1 ascending, 2 descending. `sortTarget`: 0 key, 1 version, 2 create, 3 mod, 4 value. */
export interface RangeRequest {
  readonly key: Uint8Array;
  /** Etcd tells an empty end from none. */
  readonly rangeEnd: Uint8Array | undefined;
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}
export const rangeRequestMessage: MessageType<RangeRequest> = new MessageType('RangeRequest', {
  key: bytes(1),
  rangeEnd: optional(bytes(2)),
  limit: int(3),
  revision: int(4),
  sortOrder: int(5),
  sortTarget: int(6),
  serializable: bool(7),
  keysOnly: bool(8),
  countOnly: bool(9),
  minModRevision: int(10),
  maxModRevision: int(11),
  minCreateRevision: int(12),
  maxCreateRevision: int(13),
});

/** What a range holds. */
export interface RangeResponse {
  readonly header: ResponseHeader | undefined;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}
export const rangeResponseMessage: MessageType<RangeResponse> = new MessageType('RangeResponse', {
  header: sub(1, () => responseHeaderMessage),
  kvs: repeated(sub(2, () => keyValueMessage)),
  more: bool(3),
  count: int(4),
});

/** Puts a key. */
export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}
export const putRequestMessage: MessageType<PutRequest> = new MessageType('PutRequest', {
  key: bytes(1),
  value: bytes(2),
  lease: id(3),
  prevKv: bool(4),
  ignoreValue: bool(5),
  ignoreLease: bool(6),
});

/** A key was put. */
export interface PutResponse {
  readonly header: ResponseHeader | undefined;
  readonly prevKv: KeyValue | undefined;
}
export const putResponseMessage: MessageType<PutResponse> = new MessageType('PutResponse', {
  header: sub(1, () => responseHeaderMessage),
  prevKv: sub(2, () => keyValueMessage),
});

/** Deletes a range. */
export interface DeleteRangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array | undefined;
  readonly prevKv: boolean;
}
export const deleteRangeRequestMessage: MessageType<DeleteRangeRequest> = new MessageType('DeleteRangeRequest', {
  key: bytes(1),
  rangeEnd: optional(bytes(2)),
  prevKv: bool(3),
});

/** A range was deleted. */
export interface DeleteRangeResponse {
  readonly header: ResponseHeader | undefined;
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}
export const deleteRangeResponseMessage: MessageType<DeleteRangeResponse> = new MessageType('DeleteRangeResponse', {
  header: sub(1, () => responseHeaderMessage),
  deleted: int(2),
  prevKvs: repeated(sub(3, () => keyValueMessage)),
});

/** `result`: 0 equal, 1 greater, 2 less, 3 not equal. `target`: 0 version, 1 create, 2 mod, 3 value, 4 lease. */
export interface Compare {
  readonly result: number;
  readonly target: number;
  readonly key: Uint8Array;
  readonly version: number | undefined;
  readonly createRevision: number | undefined;
  readonly modRevision: number | undefined;
  readonly value: Uint8Array | undefined;
  readonly lease: bigint | undefined;
  readonly rangeEnd: Uint8Array | undefined;
}
const compareMessage: MessageType<Compare> = new MessageType('Compare', {
  result: int(1),
  target: int(2),
  key: bytes(3),
  version: optional(int(4)),
  createRevision: optional(int(5)),
  modRevision: optional(int(6)),
  value: optional(bytes(7)),
  lease: optional(id(8)),
  rangeEnd: optional(bytes(64)),
});

/** One of its four. */
export interface RequestOp {
  readonly range: RangeRequest | undefined;
  readonly put: PutRequest | undefined;
  readonly deleteRange: DeleteRangeRequest | undefined;
  readonly txn: TxnRequest | undefined;
}
const requestOpMessage: MessageType<RequestOp> = new MessageType('RequestOp', {
  range: sub(1, () => rangeRequestMessage),
  put: sub(2, () => putRequestMessage),
  deleteRange: sub(3, () => deleteRangeRequestMessage),
  txn: sub(4, () => txnRequestMessage),
});

/** One of its four. */
export interface ResponseOp {
  readonly range: RangeResponse | undefined;
  readonly put: PutResponse | undefined;
  readonly deleteRange: DeleteRangeResponse | undefined;
  readonly txn: TxnResponse | undefined;
}
const responseOpMessage: MessageType<ResponseOp> = new MessageType('ResponseOp', {
  range: sub(1, () => rangeResponseMessage),
  put: sub(2, () => putResponseMessage),
  deleteRange: sub(3, () => deleteRangeResponseMessage),
  txn: sub(4, () => txnResponseMessage),
});

/** Does `success` when all comparisons hold, else `failure`. */
export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export const txnRequestMessage: MessageType<TxnRequest> = new MessageType('TxnRequest', {
  compare: repeated(sub(1, () => compareMessage)),
  success: repeated(sub(2, () => requestOpMessage)),
  failure: repeated(sub(3, () => requestOpMessage)),
});

/** A transaction was done. */
export interface TxnResponse {
  readonly header: ResponseHeader | undefined;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}
export const txnResponseMessage: MessageType<TxnResponse> = new MessageType('TxnResponse', {
  header: sub(1, () => responseHeaderMessage),
  succeeded: bool(2),
  responses: repeated(sub(3, () => responseOpMessage)),
});

/** Forgets the history before a revision. */
export interface CompactionRequest {
  readonly revision: number;
  readonly physical: boolean;
}
export const compactionRequestMessage: MessageType<CompactionRequest> = new MessageType('CompactionRequest', {
  revision: int(1),
  physical: bool(2),
});

/** An answer that says nothing but its header. */
export interface HeaderOnly {
  readonly header: ResponseHeader | undefined;
}
export const headerOnlyMessage: MessageType<HeaderOnly> = new MessageType('HeaderOnly', {
  header: sub(1, () => responseHeaderMessage),
});

/** A request without fields. */
export type Empty = Readonly<Record<string, never>>;
export const emptyMessage: MessageType<Empty> = new MessageType<Empty>('Empty', {});
