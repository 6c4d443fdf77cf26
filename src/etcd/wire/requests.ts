import { WireWriter } from './writer.ts';

// Requests by the names of etcd's own messages, only the fields that are used.

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly range_end?: Uint8Array;
  readonly limit?: number;
  readonly revision?: number;
  readonly sort_order?: 'None' | 'Ascend' | 'Descend';
  readonly sort_target?: 'Key' | 'Version' | 'Create' | 'Mod' | 'Value';
  readonly serializable?: boolean;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease?: string | number;
}

export interface Compare {
  readonly key: Uint8Array;
  readonly result: 'Equal';
  readonly target: 'Create' | 'Mod' | 'Lease';
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly lease?: string | number;
}

export interface RequestOp {
  readonly request_range?: RangeRequest;
  readonly request_put?: PutRequest;
  readonly request_delete_range?: { readonly key: Uint8Array };
}

export interface TxnRequestMessage {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface WatchRequestMessage {
  readonly create_request?: {
    readonly key: Uint8Array;
    readonly range_end?: Uint8Array;
    readonly start_revision?: number;
    readonly watch_id?: number;
    readonly fragment?: boolean;
    readonly prev_kv?: boolean;
  };
  readonly cancel_request?: { readonly watch_id: number };
  readonly progress_request?: object;
}

const SORT_ORDERS = ['None', 'Ascend', 'Descend'];
const SORT_TARGETS = ['Key', 'Version', 'Create', 'Mod', 'Value'];
const COMPARE_TARGETS = ['Version', 'Create', 'Mod', 'Value', 'Lease'];

/** @source https://github.com/etcd-io/etcd/blob/main/api/etcdserverpb/rpc.proto */
export function encodeRangeRequest(request: RangeRequest): Buffer {
  return written((writer) => {
    writeRange(writer, request);
  });
}

export function encodeTxnRequest({ compare, success, failure }: TxnRequestMessage): Buffer {
  return written((writer) => {
    for (const each of compare) {
      writer.message(1, (inner) => {
        writeCompare(inner, each);
      });
    }
    writeOperations(writer, 2, success);
    writeOperations(writer, 3, failure);
  });
}

export function encodeWatchRequest({ create_request, cancel_request, progress_request }: WatchRequestMessage): Buffer {
  return written((writer) => {
    if (create_request !== undefined) {
      writer.message(1, (inner) => {
        inner.bytes(1, create_request.key);
        if (create_request.range_end !== undefined) inner.bytes(2, create_request.range_end);
        writeInt64(inner, 3, create_request.start_revision);
        writeBool(inner, 6, create_request.prev_kv);
        writeInt64(inner, 7, create_request.watch_id);
        writeBool(inner, 8, create_request.fragment);
      });
    } else if (cancel_request !== undefined) {
      writer.message(2, (inner) => {
        writeInt64(inner, 1, cancel_request.watch_id);
      });
    } else if (progress_request !== undefined) writer.message(3, () => undefined);
  });
}

export function encodeLeaseGrantRequest({ TTL, ID }: { readonly TTL: number; readonly ID?: string }): Buffer {
  return written((writer) => {
    writeInt64(writer, 1, TTL);
    writeInt64(writer, 2, ID);
  });
}

/** A LeaseRevokeRequest, and a LeaseKeepAliveRequest as well: both are the id alone. */
export function encodeLeaseId({ ID }: { readonly ID: string }): Buffer {
  return written((writer) => {
    writeInt64(writer, 1, ID);
  });
}

export function encodeAuthenticateRequest({ name, password }: AuthenticateRequest): Buffer {
  return written((writer) => {
    writer.string(1, name);
    writer.string(2, password);
  });
}

export interface AuthenticateRequest {
  readonly name: string;
  readonly password: string;
}

function written(write: (writer: WireWriter) => void): Buffer {
  const writer = new WireWriter();
  write(writer);
  return writer.finish();
}

function writeRange(writer: WireWriter, request: RangeRequest): void {
  writer.bytes(1, request.key);
  // Left out, not empty: etcd takes an empty end that is there as "no end".
  if (request.range_end !== undefined) writer.bytes(2, request.range_end);
  writeInt64(writer, 3, request.limit);
  writeInt64(writer, 4, request.revision);
  writeInt64(writer, 5, numberOf(SORT_ORDERS, request.sort_order));
  writeInt64(writer, 6, numberOf(SORT_TARGETS, request.sort_target));
  writeBool(writer, 7, request.serializable);
  writeBool(writer, 8, request.keys_only);
  writeBool(writer, 9, request.count_only);
}

function writeCompare(writer: WireWriter, compare: Compare): void {
  writeInt64(writer, 2, numberOf(COMPARE_TARGETS, compare.target));
  writer.bytes(3, compare.key);
  // One of several: it is there also when it is 0.
  if (compare.create_revision !== undefined) writer.int64(5, compare.create_revision);
  if (compare.mod_revision !== undefined) writer.int64(6, compare.mod_revision);
  if (compare.lease !== undefined) writer.int64(8, compare.lease);
}

function writeOperations(writer: WireWriter, field: number, operations: readonly RequestOp[]): void {
  for (const { request_range, request_put, request_delete_range } of operations) {
    writer.message(field, (operation) => {
      if (request_range !== undefined) {
        operation.message(1, (inner) => {
          writeRange(inner, request_range);
        });
      } else if (request_put !== undefined) {
        operation.message(2, (inner) => {
          inner.bytes(1, request_put.key);
          inner.bytes(2, request_put.value);
          writeInt64(inner, 3, request_put.lease);
        });
      } else if (request_delete_range !== undefined) {
        operation.message(3, (inner) => {
          inner.bytes(1, request_delete_range.key);
        });
      }
    });
  }
}

function writeInt64(writer: WireWriter, field: number, value: number | string | undefined): void {
  if (value !== undefined && value !== 0 && value !== '0') writer.int64(field, value);
}

function writeBool(writer: WireWriter, field: number, value: boolean | undefined): void {
  if (value === true) writer.bool(field, true);
}

/** The number of an enumerated value; 0 is the default, and an unknown one. */
function numberOf(names: readonly string[], name: string | undefined): number {
  return name === undefined ? 0 : Math.max(0, names.indexOf(name));
}
