/** Messages of etcd's Watch service, by etcd's published definition (rpc.proto). */
import {
  type Empty,
  emptyMessage,
  type Event,
  eventMessage,
  type ResponseHeader,
  responseHeaderMessage,
} from './kv-messages.ts';
import { bool, bytes, id, int, MessageType, optional, repeated, string, sub } from './protobuf.ts';

/** `filters`: 0 no puts, 1 no deletes. */
export interface WatchCreateRequest {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array | undefined;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: bigint;
  readonly fragment: boolean;
}
const watchCreateRequestMessage: MessageType<WatchCreateRequest> = new MessageType('WatchCreateRequest', {
  key: bytes(1),
  rangeEnd: optional(bytes(2)),
  startRevision: int(3),
  progressNotify: bool(4),
  filters: repeated(int(5)),
  prevKv: bool(6),
  watchId: id(7),
  fragment: bool(8),
});

/** Cancels a watcher. */
export interface WatchCancelRequest {
  readonly watchId: bigint;
}
const watchCancelRequestMessage: MessageType<WatchCancelRequest> = new MessageType('WatchCancelRequest', {
  watchId: id(1),
});

/** One of its three. */
export interface WatchRequest {
  readonly createRequest: WatchCreateRequest | undefined;
  readonly cancelRequest: WatchCancelRequest | undefined;
  readonly progressRequest: Empty | undefined;
}
export const watchRequestMessage: MessageType<WatchRequest> = new MessageType('WatchRequest', {
  createRequest: sub(1, () => watchCreateRequestMessage),
  cancelRequest: sub(2, () => watchCancelRequestMessage),
  progressRequest: sub(3, () => emptyMessage),
});

/** Events of a watcher, or that it was created or canceled. */
export interface WatchResponse {
  readonly header: ResponseHeader | undefined;
  readonly watchId: bigint;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
}
export const watchResponseMessage: MessageType<WatchResponse> = new MessageType('WatchResponse', {
  header: sub(1, () => responseHeaderMessage),
  watchId: id(2),
  created: bool(3),
  canceled: bool(4),
  compactRevision: int(5),
  cancelReason: string(6),
  fragment: bool(7),
  events: repeated(sub(11, () => eventMessage)),
});
