import { EtcdFault } from '../faults.ts';
import type { KeyRange, WireEntry, WireEvent } from '../member.ts';

/**
 * A watch response, read as far as to know whose it is. Its events wait until the watcher says how much of each key
 * is its namespace: watchers of several namespaces share a stream.
 */
export interface WatchResponse {
  /** The server's, when it is the answer to a create; else it is not read. */
  readonly revision: number;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly fragment: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** How many events there are, those before any start revision included. */
  readonly eventCount: number;
  /** The size of the whole answer. */
  readonly byteLength: number;
  /**
   * Appends the events from `startRevision` on whose keys are in the range, by their bytes. Throws a `RangeError` for
   * bytes that are none.
   */
  readEvents(range: KeyRange, startRevision: number, into: WireEvent[]): void;
}

/** A range response. Throws like {@link WatchResponse.readEvents}. */
export interface RangeResponse {
  readonly revision: number;
  readonly more: boolean;
  readonly count: number;
  readonly entryCount: number;
  /** The size of the whole answer. */
  readonly byteLength: number;
  /** The whole keys of the first and the last entry; undefined when there is none. */
  readonly firstKey: Uint8Array | undefined;
  readonly lastKey: Uint8Array | undefined;
  /** All entries. Throws when their keys do not rise, or one is not in the range. */
  readEntries(range: KeyRange): WireEntry[];
}

/** The answer to a renewal, by the names of etcd's own: a TTL of 0 says that the lease is gone. */
export interface KeepAliveResponse {
  readonly ID: string;
  readonly TTL: number;
}

/** How answers are read from their bytes, and renewals written: our own way, or etcd3's. */
export interface WireFormat {
  watchResponse(bytes: Buffer): WatchResponse;
  rangeResponse(bytes: Buffer): RangeResponse;
  keepAliveRequest(request: { readonly ID: string }): Buffer;
  keepAliveResponse(bytes: Buffer): KeepAliveResponse;
}

/** The fault for bytes that are no answer: it speaks against whoever sent them, so against the member. */
export function unreadable(what: string, error: unknown): EtcdFault {
  if (error instanceof EtcdFault) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new EtcdFault('connection', `the member sent a ${what} that cannot be read: ${reason}`, {
    code: 'invalid-answer',
    cause: error,
  });
}

/** The fault for an answer that contradicts its request, or itself: nothing of it is used, and it is asked for again. */
export function contradiction(what: string): EtcdFault {
  return new EtcdFault('busy', `an answer that cannot be: ${what}`, { code: 'invalid-answer' });
}

export const OUT_OF_RANGE = 'a key that is not in the range asked for';
export const OUT_OF_ORDER = 'keys that do not rise';
