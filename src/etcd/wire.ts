import { decodeKey } from './keys.ts';
import type { WireEntry, WireEvent } from './link.ts';

/** A key-value as etcd3's generated decoder gives it: 64-bit integers are decimal strings. */
export interface StockKeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly create_revision: string;
  readonly mod_revision: string;
  readonly lease: string;
}

export interface StockHeader {
  readonly revision: string;
}

export interface StockRangeResponse {
  readonly header: StockHeader;
  readonly kvs: readonly StockKeyValue[];
  readonly more: boolean;
  readonly count: string;
}

export interface StockEvent {
  readonly type: 'Put' | 'Delete' | 'PUT' | 'DELETE' | number;
  readonly kv: StockKeyValue;
  readonly prev_kv: StockKeyValue | null;
}

export interface StockWatchResponse {
  readonly watch_id: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly fragment: boolean;
  readonly events: readonly StockEvent[];
}

export function toEntry(kv: StockKeyValue, namespaceBytes: number): WireEntry {
  return {
    key: decodeKey(kv.key, namespaceBytes),
    value: kv.value,
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    lease: kv.lease,
  };
}

export function toEvent(event: StockEvent, namespaceBytes: number): WireEvent {
  const type = String(event.type).toLowerCase() === 'delete' || event.type === 1 ? 'delete' : 'put';
  const entry = toEntry(event.kv, namespaceBytes);
  return event.prev_kv === null || event.prev_kv.key.length === 0
    ? { type, ...entry }
    : { type, ...entry, previous: toEntry(event.prev_kv, namespaceBytes) };
}
