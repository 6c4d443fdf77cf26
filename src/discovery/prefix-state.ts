import type { PassingError, RxEtcdError } from '../errors.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Why a snapshot comes from a list rather than from the watch.
 *
 * - `compacted`: changes were compacted away while disconnected; the snapshot holds their sum.
 * - `history-replaced`: the cluster was wiped, or restored from a backup; the revision may have fallen.
 */
export type ResyncReason = 'compacted' | 'history-replaced';

/** Keys whose bytes the codec could not read, with the reason; they are left out of the snapshot. */
export type RejectedKeys = ReadonlyMap<string, RxEtcdError>;

/** A prefix as it is known, and how well it is known: told apart by `status`. */
export type PrefixState<T> =
  | {
      /** Nothing is known yet: not the same as empty. */
      readonly status: 'pending';
      /** Failures in a row, 0 while the first attempt runs. */
      readonly attempt: number;
      /** Keys listed so far, for what takes long. */
      readonly listed: number;
      /** The last failure. */
      readonly cause?: PassingError;
    }
  | {
      /** The snapshot is what etcd holds, as far as etcd has told. */
      readonly status: 'live';
      readonly snapshot: Snapshot<T>;
      readonly rejected: RejectedKeys;
      /** On the first state after a resync: why there was one. */
      readonly resync?: ResyncReason;
    }
  | {
      /** Contact is lost: the snapshot is the last known one, and kept. */
      readonly status: 'stale';
      readonly snapshot: Snapshot<T>;
      readonly rejected: RejectedKeys;
      /** Since when, in milliseconds of the scheduler's clock (by default since 1970). */
      readonly sinceMs: number;
      readonly cause: PassingError;
      /**
       * Failures in a row: from 1 after a failure. 0 while etcd's first answer is awaited, and something is known
       * without it: remembered (`remember`), or from other prefixes (`mergeSources$` with `partial`).
       */
      readonly attempt: number;
    };
