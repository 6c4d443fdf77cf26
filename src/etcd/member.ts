import type { Observable } from 'rxjs';
import type { EtcdFault } from './faults.ts';

/** A range of keys as etcd sees it, `key` included and `rangeEnd` not. */
export interface KeyRange {
  readonly key: Uint8Array;
  /** Absent: the one key alone. */
  readonly rangeEnd?: Uint8Array;
  /** How many leading bytes of each key belong to the namespace: taken off before the key is decoded. */
  readonly namespaceBytes: number;
}

/** A key and what etcd keeps with it. */
export interface WireEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** The value as text in UTF-8, where that can be had without a view of its bytes. */
  readonly text?: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** `'0'` for none. A string, because a lease id has 63 bits. */
  readonly lease: string;
  /** The same as two signed 32-bit halves, where those can be had without its text. */
  readonly leaseHigh?: number;
  readonly leaseLow?: number;
}

/** One event of the history. A deletion has no value, and no lease. */
export interface WireEvent extends WireEntry {
  readonly type: 'put' | 'delete';
  /** What the key held before, where {@link WatchRequest.previous} asked for it and etcd still knows. */
  readonly previous?: WireEntry | undefined;
}

/** A page of a list, in key order. All pages of a list are of one `revision`. */
export interface ListPage {
  readonly entries: readonly WireEntry[];
  readonly revision: number;
}

/** What is compared to prove that a history is still the one known: see {@link Member.fingerprint$}. */
export interface Fingerprint {
  readonly count: number;
  /** The entry with the highest `modRevision`, `undefined` for an empty range. */
  readonly newest: WireEntry | undefined;
  /** The store's revision when it answered. */
  readonly revision: number;
  /** Every entry, without its value: where that was asked for, and there are not too many. */
  readonly keys?: readonly WireEntry[];
}

export interface WatchRequest {
  readonly range: KeyRange;
  readonly startRevision: number;
  /** Whether the start is known to lie in the past. Without it that is found out, by asking twice. */
  readonly catchesUp?: boolean;
  readonly previous?: boolean;
}

/**
 * What a watch tells. `events` holds whole revisions: fragments are joined, revisions rise from message to message, and
 * all events of a revision are in one.
 */
export type WatchMessage =
  { readonly type: 'created' } | { readonly type: 'events'; readonly events: readonly WireEvent[] };

/**
 * The longest TTL that etcd grants.
 *
 * @source https://github.com/etcd-io/etcd/blob/main/server/lease/lessor.go
 */
export const MAX_TTL_SECONDS: number = 9_000_000_000;

/** A granted lease: the TTL can be larger than the asked one. */
export interface GrantedLease {
  readonly leaseId: string;
  readonly ttlSeconds: number;
}

/** An answered renewal: the lease lives until `sentAtMs + ttlSeconds` at least. */
export interface Renewal {
  readonly ttlSeconds: number;
  /** When the renewal was sent, in the connection's clock: the server renewed it no earlier. */
  readonly sentAtMs: number;
  /** By how much it was sent late: the process was suspended, or its event loop blocked. */
  readonly lateMs: number;
}

export type TxnCompare =
  | { readonly key: Uint8Array; readonly target: 'create' | 'mod'; readonly equals: number }
  | { readonly key: Uint8Array; readonly target: 'lease'; readonly equals: string };
export type TxnOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly leaseId?: string }
  | { readonly type: 'delete'; readonly key: Uint8Array }
  | { readonly type: 'get'; readonly range: KeyRange };

export interface TxnRequest {
  /** All must hold for `then`, else `otherwise` is done. */
  readonly when: readonly TxnCompare[];
  readonly then: readonly TxnOperation[];
  readonly otherwise?: readonly TxnOperation[];
}

export interface TxnAnswer {
  readonly succeeded: boolean;
  readonly revision: number;
  /** For each operation done, in order: the entries of a `get`; empty for the others. */
  readonly results: readonly (readonly WireEntry[])[];
}

/**
 * A working connection to one member. Every method gives a cold Observable that fails with an
 * {@link EtcdFault}; unsubscribing cancels the call. Every watch of a member shares one stream, and so does
 * every keepalive; each stream opens with its first user and closes with its last.
 */
export interface Member {
  /** The member's address, for messages. */
  readonly host: string;
  /**
   * Emits page after page of the present revision, or of a past one, then completes. A compaction under way makes it
   * fail with `compacted`.
   */
  list$(range: KeyRange, revision?: number): Observable<ListPage>;
  /**
   * Count and newest entry of a range, linearizable; of a past revision, or of the present one. The keys as well, where
   * there are at most `keysUpTo`. Emits once.
   */
  fingerprint$(range: KeyRange, revision?: number, keysUpTo?: number): Observable<Fingerprint>;
  /** Emits `created` first. Never completes by itself. */
  watch$(request: WatchRequest): Observable<WatchMessage>;
  /**
   * Grants a lease under an id chosen by the caller, who can so revoke it even when the answer is lost. Fails
   * with `lease-exists` when the id is taken: by oneself, if an earlier answer was lost.
   */
  grant$(ttlSeconds: number, leaseId: string): Observable<GrantedLease>;
  /** Emits once when the lease is gone, also when it was gone before. */
  revoke$(leaseId: string): Observable<void>;
  /**
   * Renews the lease after `firstDelayMs` and then at every third of its TTL, and emits each answer. Never
   * completes by itself. Fails with `lease-gone`.
   */
  keepAlive$(leaseId: string, ttlSeconds: number, firstDelayMs: number): Observable<Renewal>;
  txn$(request: TxnRequest): Observable<TxnAnswer>;
}

/** Where the connection stands. `attempt` counts the failures in a row since it was last proven healthy. */
export type ConnectionState =
  | { readonly status: 'up'; readonly member: Member }
  | { readonly status: 'down'; readonly attempt: number; readonly cause: EtcdFault };

/**
 * The one connection of a client, as `discovery/` and `registration/` see it (and as their tests fake it).
 */
export interface Connection {
  /**
   * The member in use, and a new one whenever it fails. Shared by reference count, the latest state is
   * replayed: it connects with the first subscriber and closes after the last. Retries for ever with
   * jittered delays; its error notification is an `RxEtcdError` (closed client, bad credentials).
   */
  readonly member$: Observable<ConnectionState>;
  /**
   * The same for a revoke: it outlives the closing of the etcd3 client by the member in use, so that
   * `registration.unsubscribe(); etcd.close();` leaves nothing behind.
   */
  readonly drainingMember$: Observable<ConnectionState>;
}
