import type { PassingError } from '../errors.ts';

/** Where a lease stands, told apart by `status`. Times are in milliseconds of the scheduler's clock. */
export type LeaseState =
  | {
      /** Asking etcd for a lease. */
      readonly status: 'granting';
      /** Failures in a row, 0 while the first attempt runs. */
      readonly attempt: number;
      /** The last failure. */
      readonly cause?: PassingError;
    }
  | {
      /** The lease lives: a renewal sent less than a TTL ago was answered. */
      readonly status: 'granted';
      /** Decimal: a lease id has 63 bits. */
      readonly leaseId: string;
      /** As granted, which may be more than was asked for. */
      readonly ttlSeconds: number;
      /**
       * By how much the last renewal was sent late because this process was suspended or its event loop blocked;
       * 0 below a sixth of the TTL, which is half of the time between renewals.
       */
      readonly renewalLateMs: number;
    }
  | {
      /** Renewals go unanswered: the lease may still live, or not. */
      readonly status: 'suspended';
      readonly leaseId: string;
      readonly ttlSeconds: number;
      readonly sinceMs: number;
      /** Until when it lives for certain, unless it is revoked. */
      readonly expiresAtMs: number;
      readonly cause: PassingError;
    }
  | {
      /** The lease is gone, for certain. A new one follows. */
      readonly status: 'lost';
      readonly leaseId: string;
      readonly cause: PassingError;
    };
