import { decodeKey } from '../keys.ts';
import type { WireEntry } from '../member.ts';
import { int64Text } from './int64-text.ts';
import { WireReader } from './reader.ts';

// Answers of the calls that are made seldom, by the names of etcd's own messages.

export interface KeyValueMessage {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly create_revision: string;
  readonly mod_revision: string;
  readonly lease: string;
}

export interface TxnResponseMessage {
  readonly header: { readonly revision: string } | null;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface ResponseOp {
  readonly response_range?: { readonly kvs: readonly KeyValueMessage[] };
  readonly response_put?: object;
  readonly response_delete_range?: object;
}

export interface LeaseGrantResponse {
  readonly ID: string;
  readonly TTL: string;
  readonly error: string;
}

type Fields = Readonly<Record<number, (reader: WireReader, limit: number) => void>>;

const VARINT = 0;
const BYTES = 2;

export function decodeTxnResponse(bytes: Buffer): TxnResponseMessage {
  let revision: string | undefined;
  let succeeded = false;
  const responses: ResponseOp[] = [];
  readFields(bytes, {
    [tag(1, BYTES)]: (reader, limit) => {
      revision = readRevision(reader, limit) ?? revision ?? '0';
    },
    [tag(2, VARINT)]: (reader) => {
      succeeded = reader.uint32() !== 0;
    },
    [tag(3, BYTES)]: (reader, limit) => {
      responses.push(readOperation(reader, limit));
    },
  });
  return { header: revision === undefined ? null : { revision }, succeeded, responses };
}

export function decodeLeaseGrantResponse(bytes: Buffer): LeaseGrantResponse {
  let ID = '0';
  let TTL = '0';
  let error = '';
  readFields(bytes, {
    [tag(2, VARINT)]: (reader) => {
      ID = readInt64(reader);
    },
    [tag(3, VARINT)]: (reader) => {
      TTL = readInt64(reader);
    },
    [tag(4, BYTES)]: (reader, limit) => {
      error = readText(reader, limit);
    },
  });
  return { ID, TTL, error };
}

export function decodeAuthenticateResponse(bytes: Buffer): { readonly token: string } {
  let token = '';
  readFields(bytes, {
    [tag(2, BYTES)]: (reader, limit) => {
      token = readText(reader, limit);
    },
  });
  return { token };
}

/** An answer of which only that it came is of interest: checked to be a message. */
export function decodeNothing(bytes: Buffer): object {
  readFields(bytes, {});
  return {};
}

export function toEntry(kv: KeyValueMessage, namespaceBytes: number): WireEntry {
  if (kv.key.length < namespaceBytes) throw new RangeError('a key that is not in the namespace');
  return {
    key: decodeKey(kv.key, namespaceBytes),
    value: kv.value,
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    lease: kv.lease,
  };
}

/** One of several: the last that is there. */
function readOperation(reader: WireReader, limit: number): ResponseOp {
  let operation: ResponseOp = {};
  const skip = (_: WireReader, end: number): void => {
    readWithin(reader, end, {});
  };
  readWithin(reader, limit, {
    [tag(1, BYTES)]: (_, end) => {
      const kvs: KeyValueMessage[] = [];
      readWithin(reader, end, {
        [tag(2, BYTES)]: (_each, within) => {
          kvs.push(readKeyValue(reader, within));
        },
      });
      operation = { response_range: { kvs } };
    },
    [tag(2, BYTES)]: (_, end) => {
      skip(_, end);
      operation = { response_put: {} };
    },
    [tag(3, BYTES)]: (_, end) => {
      skip(_, end);
      operation = { response_delete_range: {} };
    },
  });
  return operation;
}

function readKeyValue(reader: WireReader, limit: number): KeyValueMessage {
  const none: Uint8Array = Buffer.alloc(0);
  const entry = { key: none, value: none, create_revision: '0', mod_revision: '0', lease: '0' };
  readWithin(reader, limit, {
    [tag(1, BYTES)]: (_, end) => {
      entry.key = readBytes(reader, end);
    },
    [tag(2, VARINT)]: () => {
      entry.create_revision = readInt64(reader);
    },
    [tag(3, VARINT)]: () => {
      entry.mod_revision = readInt64(reader);
    },
    [tag(5, BYTES)]: (_, end) => {
      entry.value = readBytes(reader, end);
    },
    [tag(6, VARINT)]: () => {
      entry.lease = readInt64(reader);
    },
  });
  return entry;
}

function readRevision(reader: WireReader, limit: number): string | undefined {
  let revision: string | undefined;
  readWithin(reader, limit, {
    [tag(3, VARINT)]: () => {
      revision = readInt64(reader);
    },
  });
  return revision;
}

function readInt64(reader: WireReader): string {
  const low = reader.int64Low();
  return int64Text(reader.high, low);
}

/** A view: who keeps it copies it. */
function readBytes(reader: WireReader, end: number): Buffer {
  const bytes = reader.bytes.subarray(reader.position, end);
  reader.position = end;
  return bytes;
}

function readText(reader: WireReader, end: number): string {
  const text = reader.bytes.toString('utf8', reader.position, end);
  reader.position = end;
  return text;
}

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

function readFields(bytes: Buffer, fields: Fields): void {
  readWithin(new WireReader(bytes), bytes.length, fields);
}

/** Reads a message up to `limit`: known fields by their tag, all others are skipped. */
function readWithin(reader: WireReader, limit: number, fields: Fields): void {
  while (reader.position < limit) {
    const found = reader.uint32();
    const read = fields[found];
    if (read === undefined) reader.skip(found, limit);
    else if ((found & 7) === BYTES) {
      const end = reader.end(limit);
      read(reader, end);
    } else read(reader, limit);
  }
  if (reader.position !== limit) throw new RangeError(`a field goes beyond its message at byte ${limit}`);
}
