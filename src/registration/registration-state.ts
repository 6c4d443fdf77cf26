import type { PassingError } from '../errors.ts';
import type { KeyState } from './held-keys.ts';
import type { RegisteredKey } from './key-plan.ts';
import type { LeaseState } from './lease-state.ts';

/** Where a registration stands, told apart by `status`. Times are in milliseconds of the scheduler's clock. */
export type RegistrationState<T = string> =
  | {
      /** On the way to etcd; or standing by, with a `key-conflict` as cause, until another owner's key is free. */
      readonly status: 'registering';
      /** Failures in a row, 0 while the first attempt runs. */
      readonly attempt: number;
      /** The last failure. */
      readonly cause?: PassingError;
    }
  | {
      /** etcd confirmed the keys under the lease. */
      readonly status: 'registered';
      /** The key; the first one of several. */
      readonly key: string;
      readonly value: T;
      /** All keys with their values. */
      readonly entries: ReadonlyMap<string, T>;
      /** Decimal: a lease id has 63 bits. */
      readonly leaseId: string;
      /** Of the last write. */
      readonly revision: number;
      /** As granted, which may be more than was asked for. */
      readonly ttlSeconds: number;
      /**
       * By how much the last renewal was sent late because this process was suspended or its event loop blocked;
       * 0 below a sixth of the TTL, which is half of the time between renewals.
       */
      readonly renewalLateMs: number;
    }
  | {
      /** Renewals go unanswered: the registration may still be there, or not. */
      readonly status: 'suspended';
      readonly leaseId: string;
      readonly sinceMs: number;
      /** Until when the lease lives for certain, unless it is revoked. */
      readonly expiresAtMs: number;
      readonly cause: PassingError;
    }
  | {
      /** What was registered is gone, or another's. It is registered again, or stood by, as `onConflict` says. */
      readonly status: 'lost';
      readonly cause: PassingError;
    }
  | {
      /** Not in etcd, because `ready$` says so. The lease is kept. */
      readonly status: 'withdrawn';
      readonly leaseId: string;
    }
  | {
      /** Leaving: the key is removed or marked, and clients have time to move away. */
      readonly status: 'draining';
    }
  | {
      /** Over, and the last state. */
      readonly status: 'deregistered';
      /** Whether etcd confirmed it. If not, the lease has ended, or soon will, by its TTL. */
      readonly confirmed: boolean;
    };

/** The state after `last`, from those of the lease and the keys; `undefined` when there is nothing new to tell. */
export function nextState<T>(
  last: RegistrationState<T> | undefined,
  lease: LeaseState,
  keyState: KeyState<T> | undefined,
  keys: readonly RegisteredKey[],
): RegistrationState<T> | undefined {
  const next = stateOf(last, lease, keyState, keys);
  return next === undefined || (last !== undefined && isSame(last, next)) ? undefined : next;
}

function stateOf<T>(
  last: RegistrationState<T> | undefined,
  lease: LeaseState,
  keyState: KeyState<T> | undefined,
  keys: readonly RegisteredKey[],
): RegistrationState<T> | undefined {
  const wasThere = last?.status === 'registered' || last?.status === 'suspended';
  switch (lease.status) {
    case 'granting':
      return { status: 'registering', attempt: lease.attempt, ...(lease.cause && { cause: lease.cause }) };
    case 'lost':
      return wasThere
        ? { status: 'lost', cause: lease.cause }
        : { status: 'registering', attempt: 0, cause: lease.cause };
    case 'suspended': {
      if (keyState?.status === 'gone') return { status: 'lost', cause: keyState.cause };
      if (!wasThere) return { status: 'registering', attempt: 1, cause: lease.cause };
      const { leaseId, sinceMs, expiresAtMs, cause } = lease;
      return { status: 'suspended', leaseId, sinceMs, expiresAtMs, cause };
    }
    case 'granted':
      break;
  }
  const { leaseId, ttlSeconds, renewalLateMs } = lease;
  switch (keyState?.status) {
    case undefined:
      // After a reconnect: the lease lives, the keys are being looked at. Or it is a new lease, on the same way.
      return wasThere || last?.status === 'registering' ? undefined : { status: 'registering', attempt: 0 };
    case 'pending':
      return { status: 'registering', attempt: keyState.attempt, ...(keyState.cause && { cause: keyState.cause }) };
    case 'gone':
      return wasThere || last?.status === 'lost'
        ? { status: 'lost', cause: keyState.cause }
        : { status: 'registering', attempt: 0, cause: keyState.cause };
    case 'withdrawn':
      return { status: 'withdrawn', leaseId };
    case 'held': {
      const { values } = keyState.present;
      const entries = new Map(keys.map(({ name }, index) => [name, values[index] as T]));
      const [key, value] = [(keys[0] as RegisteredKey).name, values[0] as T];
      return {
        status: 'registered',
        key,
        value,
        entries,
        leaseId,
        revision: keyState.revision,
        ttlSeconds,
        renewalLateMs,
      };
    }
  }
}

function isSame<T>(a: RegistrationState<T>, b: RegistrationState<T>): boolean {
  if (a.status === 'registering' && b.status === 'registering') {
    return a.attempt === b.attempt && a.cause?.message === b.cause?.message;
  }
  if (a.status === 'registered' && b.status === 'registered') {
    return (
      a.leaseId === b.leaseId &&
      a.revision === b.revision &&
      a.ttlSeconds === b.ttlSeconds &&
      a.renewalLateMs === b.renewalLateMs
    );
  }
  if (a.status === 'suspended' && b.status === 'suspended') return a.leaseId === b.leaseId;
  return a.status === b.status;
}
