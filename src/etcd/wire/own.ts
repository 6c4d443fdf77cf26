import { compareBytes, decodeKeyAt, isInRange } from '../keys.ts';
import type { KeyRange, WireEntry, WireEvent } from '../member.ts';
import {
  OUT_OF_ORDER,
  OUT_OF_RANGE,
  contradiction,
  type KeepAliveResponse,
  type RangeResponse,
  type WatchResponse,
  type WireFormat,
} from './messages.ts';
import { int64Text } from './int64-text.ts';
import { WireReader } from './reader.ts';

/**
 * Reads answers straight from their bytes: only the fields that are used, in any order, the last one of a field
 * that comes twice, parts of a message merged, and anything else skipped.
 *
 * @source https://github.com/etcd-io/etcd/blob/main/api/etcdserverpb/rpc.proto
 * @source https://github.com/etcd-io/etcd/blob/main/api/mvccpb/kv.proto
 */
export const ownFormat: WireFormat = { watchResponse, rangeResponse, keepAliveRequest, keepAliveResponse };

// A field's tag is its number and its wire type. A known number with another wire type is an unknown field.
const VARINT = 0;
const BYTES = 2;

const HEADER_REVISION = (3 << 3) | VARINT;

const WATCH_HEADER = (1 << 3) | BYTES;
const WATCH_ID = (2 << 3) | VARINT;
const WATCH_CREATED = (3 << 3) | VARINT;
const WATCH_CANCELED = (4 << 3) | VARINT;
const WATCH_COMPACT_REVISION = (5 << 3) | VARINT;
const WATCH_CANCEL_REASON = (6 << 3) | BYTES;
const WATCH_FRAGMENT = (7 << 3) | VARINT;
const WATCH_EVENT = (11 << 3) | BYTES;

const EVENT_TYPE = (1 << 3) | VARINT;
const EVENT_KV = (2 << 3) | BYTES;
const EVENT_PREVIOUS = (3 << 3) | BYTES;
const DELETE = 1;

const KV_KEY = (1 << 3) | BYTES;
const KV_CREATE_REVISION = (2 << 3) | VARINT;
const KV_MOD_REVISION = (3 << 3) | VARINT;
const KV_VALUE = (5 << 3) | BYTES;
const KV_LEASE = (6 << 3) | VARINT;

const RANGE_HEADER = (1 << 3) | BYTES;
const RANGE_KV = (2 << 3) | BYTES;
const RANGE_MORE = (3 << 3) | VARINT;
const RANGE_COUNT = (4 << 3) | VARINT;

const KEEP_ALIVE_ID = (1 << 3) | VARINT;
const KEPT_ALIVE_ID = (2 << 3) | VARINT;
const KEPT_ALIVE_TTL = (3 << 3) | VARINT;

function watchResponse(bytes: Buffer): WatchResponse {
  const limit = bytes.length;
  const reader = new WireReader(bytes);
  let header = -1;
  const response = {
    revision: 0,
    watchId: 0,
    created: false,
    canceled: false,
    fragment: false,
    compactRevision: 0,
    cancelReason: '',
    eventCount: 0,
    byteLength: limit,
    readEvents(range: KeyRange, startRevision: number, into: WireEvent[]): void {
      readEvents(new WireReader(bytes), range, startRevision, into);
    },
  };
  while (reader.position < limit) {
    const tag = reader.uint32();
    switch (tag) {
      case WATCH_HEADER:
        header = reader.position;
        reader.position = reader.end(limit);
        break;
      case WATCH_ID:
        response.watchId = reader.int64();
        break;
      case WATCH_CREATED:
        response.created = reader.uint32() !== 0;
        break;
      case WATCH_CANCELED:
        response.canceled = reader.uint32() !== 0;
        break;
      case WATCH_COMPACT_REVISION:
        response.compactRevision = reader.int64();
        break;
      case WATCH_CANCEL_REASON: {
        const end = reader.end(limit);
        response.cancelReason = bytes.toString('utf8', reader.position, end);
        reader.position = end;
        break;
      }
      case WATCH_FRAGMENT:
        response.fragment = reader.uint32() !== 0;
        break;
      case WATCH_EVENT:
        response.eventCount += 1;
        reader.position = reader.end(limit);
        break;
      default:
        reader.skip(tag, limit);
    }
  }
  if (response.created && header !== -1) {
    reader.position = header;
    response.revision = readHeader(reader, reader.end(limit)) ?? 0;
  }
  return response;
}

function readEvents(reader: WireReader, range: KeyRange, startRevision: number, into: WireEvent[]): void {
  const limit = reader.bytes.length;
  while (reader.position < limit) {
    const tag = reader.uint32();
    if (tag === WATCH_EVENT) {
      const event = readEvent(reader, reader.end(limit), range);
      if (event !== undefined && event.modRevision >= startRevision) into.push(event);
    } else {
      reader.skip(tag, limit);
    }
  }
}

class OwnEntry implements WireEntry {
  key = '';
  createRevision = 0;
  modRevision = 0;
  leaseHigh = 0;
  leaseLow = 0;
  /** Where the value is, in {@link message}. */
  valueStart = 0;
  valueEnd = 0;
  readonly message: Buffer;

  constructor(message: Buffer) {
    this.message = message;
  }

  /** Made when it is asked for: the text of 64 bits costs as much as that of the key. */
  get lease(): string {
    return int64Text(this.leaseHigh, this.leaseLow);
  }

  get value(): Uint8Array {
    return this.message.subarray(this.valueStart, this.valueEnd);
  }

  get text(): string {
    return this.message.toString('utf8', this.valueStart, this.valueEnd);
  }
}

class OwnEvent extends OwnEntry implements WireEvent {
  type: 'put' | 'delete' = 'put';
  previous: OwnEntry | undefined = undefined;
}

/** Undefined when its key is not in the range. */
function readEvent(reader: WireReader, limit: number, range: KeyRange): WireEvent | undefined {
  const event = new OwnEvent(reader.bytes);
  let complete = false;
  let inRange = false;
  let previousInRange = false;
  while (reader.position < limit) {
    const tag = reader.uint32();
    switch (tag) {
      case EVENT_TYPE:
        event.type = reader.uint32() === DELETE ? 'delete' : 'put';
        break;
      case EVENT_KV:
        inRange = readEntry(reader, reader.end(limit), range, event) ?? inRange;
        complete = true;
        break;
      case EVENT_PREVIOUS:
        event.previous ??= new OwnEntry(reader.bytes);
        previousInRange = readEntry(reader, reader.end(limit), range, event.previous) ?? previousInRange;
        break;
      default:
        reader.skip(tag, limit);
    }
  }
  expectEnd(reader, limit);
  if (!complete) throw new RangeError('an event without a key');
  // Of another key, it says nothing about this one.
  if (!previousInRange || event.previous?.key !== event.key) event.previous = undefined;
  return inRange ? event : undefined;
}

/** Whether the key is in the range, and only then has the entry its key; undefined when no key is there. */
function readEntry(reader: WireReader, limit: number, range: KeyRange, entry: OwnEntry): boolean | undefined {
  const { bytes } = reader;
  let keyStart = 0;
  let keyEnd = -1;
  while (reader.position < limit) {
    const tag = reader.uint32();
    switch (tag) {
      case KV_KEY: {
        const end = reader.end(limit);
        keyStart = reader.position;
        reader.position = keyEnd = end;
        break;
      }
      case KV_CREATE_REVISION:
        entry.createRevision = reader.int64();
        break;
      case KV_MOD_REVISION:
        entry.modRevision = reader.int64();
        break;
      case KV_VALUE: {
        const end = reader.end(limit);
        entry.valueStart = reader.position;
        reader.position = entry.valueEnd = end;
        break;
      }
      case KV_LEASE:
        entry.leaseLow = reader.int64Low();
        entry.leaseHigh = reader.high;
        break;
      default:
        reader.skip(tag, limit);
    }
  }
  expectEnd(reader, limit);
  if (keyEnd === -1) return undefined;
  lastKeyStart = keyStart;
  lastKeyEnd = keyEnd;
  if (!isInRange(bytes, keyStart, keyEnd, range) || keyEnd - keyStart < range.namespaceBytes) return false;
  entry.key = decodeKeyAt(bytes, keyStart + range.namespaceBytes, keyEnd);
  return true;
}

// Where the key read last is in its message: kept here, because entries by the ten thousand would keep it too.
let lastKeyStart = 0;
let lastKeyEnd = 0;

function rangeResponse(bytes: Buffer): RangeResponse {
  const limit = bytes.length;
  const reader = new WireReader(bytes);
  let revision = 0;
  let more = false;
  let count = 0;
  let entryCount = 0;
  let first = 0;
  let last = 0;
  while (reader.position < limit) {
    const tag = reader.uint32();
    switch (tag) {
      case RANGE_HEADER:
        revision = readHeader(reader, reader.end(limit)) ?? revision;
        break;
      case RANGE_KV:
        entryCount += 1;
        last = reader.position;
        if (entryCount === 1) first = last;
        reader.position = reader.end(limit);
        break;
      case RANGE_MORE:
        more = reader.uint32() !== 0;
        break;
      case RANGE_COUNT:
        count = reader.int64();
        break;
      default:
        reader.skip(tag, limit);
    }
  }
  return {
    revision,
    more,
    count,
    entryCount,
    byteLength: limit,
    firstKey: entryCount === 0 ? undefined : keyBytes(bytes, first),
    lastKey: entryCount === 0 ? undefined : keyBytes(bytes, last),
    readEntries: (range) => readEntries(new WireReader(bytes), entryCount, range),
  };
}

function readEntries(reader: WireReader, entryCount: number, range: KeyRange): WireEntry[] {
  const { bytes } = reader;
  let start = 0;
  let end = -1;
  const limit = reader.bytes.length;
  const entries: WireEntry[] = [];
  while (entries.length < entryCount) {
    const tag = reader.uint32();
    if (tag === RANGE_KV) {
      const entry = new OwnEntry(reader.bytes);
      if (readEntry(reader, reader.end(limit), range, entry) !== true) throw contradiction(OUT_OF_RANGE);
      if (end !== -1 && compareBytes(bytes, start, end, bytes, lastKeyStart, lastKeyEnd) >= 0)
        throw contradiction(OUT_OF_ORDER);
      start = lastKeyStart;
      end = lastKeyEnd;
      entries.push(entry);
    } else {
      reader.skip(tag, limit);
    }
  }
  return entries;
}

function readHeader(reader: WireReader, limit: number): number | undefined {
  let revision: number | undefined;
  while (reader.position < limit) {
    const tag = reader.uint32();
    if (tag === HEADER_REVISION) revision = reader.int64();
    else reader.skip(tag, limit);
  }
  expectEnd(reader, limit);
  return revision;
}

function keepAliveRequest({ ID }: { readonly ID: string }): Buffer {
  const id = BigInt.asUintN(64, BigInt(ID));
  let high = Number(id >> 32n);
  let low = Number(id & 0xffffffffn);
  const bytes = Buffer.allocUnsafe(11);
  bytes[0] = KEEP_ALIVE_ID;
  let at = 1;
  while (high > 0 || low > 0x7f) {
    bytes[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  bytes[at++] = low;
  return bytes.subarray(0, at);
}

function keepAliveResponse(bytes: Buffer): KeepAliveResponse {
  const limit = bytes.length;
  const reader = new WireReader(bytes);
  let low = 0;
  let high = 0;
  let ttl = 0;
  while (reader.position < limit) {
    const tag = reader.uint32();
    switch (tag) {
      case KEPT_ALIVE_ID:
        low = reader.int64Low();
        high = reader.high;
        break;
      case KEPT_ALIVE_TTL:
        ttl = reader.int64();
        break;
      default:
        reader.skip(tag, limit);
    }
  }
  return { ID: int64Text(high, low), TTL: ttl };
}

/** The whole key of the key-value whose length stands at `position`; a copy, because it outlives its page. */
function keyBytes(bytes: Buffer, position: number): Uint8Array {
  const reader = new WireReader(bytes, position);
  const limit = reader.end(bytes.length);
  let key = new Uint8Array(0);
  while (reader.position < limit) {
    const tag = reader.uint32();
    if (tag === KV_KEY) {
      const end = reader.end(limit);
      key = Uint8Array.from(bytes.subarray(reader.position, end));
      reader.position = end;
    } else {
      reader.skip(tag, limit);
    }
  }
  return key;
}

// A number that begins before the end of its message can end after it.
function expectEnd(reader: WireReader, limit: number): void {
  if (reader.position !== limit) throw new RangeError(`a field goes beyond its message at byte ${limit}`);
}
