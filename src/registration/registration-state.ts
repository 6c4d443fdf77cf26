import type { PassingError } from '../errors.ts';
import type { MachineState } from './machine.ts';

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
      /** Why a later value could not be written so far. It is tried again; what is told here is still there. */
      readonly cause?: PassingError;
    }
  | {
      /** Renewals, or the look at the keys after a reconnect, go unanswered: the registration may still be there. */
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
      /** Not in etcd, because `ready` says so or the set of keys is empty. The lease is kept. */
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

/** What to tell after what was told; `undefined` when there is nothing new. */
export function describeRegistration<T>(
  machine: MachineState<RegistrationState<T>>,
  nowMs: number,
): RegistrationState<T> | undefined {
  const last = machine.told;
  const next = stateOf(machine, nowMs);
  if (next === undefined || (last !== undefined && isSame(last, next))) return undefined;
  return inOrder(last, next);
}

function stateOf<T>(machine: MachineState<RegistrationState<T>>, nowMs: number): RegistrationState<T> | undefined {
  switch (machine.phase) {
    case 'running':
      return whileRunning(machine, nowMs);
    case 'draining':
    case 'drained':
      return { status: 'draining' };
    case 'ended':
      return { status: 'deregistered', confirmed: machine.confirmed };
    case 'new':
    case 'leaving':
    case 'failed':
      return undefined;
  }
}

function whileRunning<T>(machine: MachineState<RegistrationState<T>>, nowMs: number): RegistrationState<T> | undefined {
  const { told: last, leaseState: lease, lease: held, keyState } = machine;
  const wasThere = last?.status === 'registered' || last?.status === 'suspended';
  const wasLost = wasThere || last?.status === 'lost';
  switch (lease.status) {
    case 'granting':
      return registering(lease.attempt, lease.cause);
    case 'lost':
      return wasLost ? { status: 'lost', cause: lease.cause } : registering(0, lease.cause);
    case 'suspended': {
      if (keyState?.status === 'gone' && wasLost) {
        return { status: 'lost', cause: keyState.cause };
      }
      if (!wasThere) return registering(1, lease.cause);
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
      return wasThere || last?.status === 'registering' ? undefined : registering(0, undefined);
    case 'pending': {
      const { attempt, cause } = keyState;
      if (!wasThere || cause === undefined) return registering(attempt, cause);
      // Another owner has it. Any other failure leaves open what is there.
      if (attempt === 0) return { status: 'lost', cause };
      const sinceMs = last.status === 'suspended' ? last.sinceMs : nowMs;
      const expiresAtMs = (held?.renewedAtMs ?? nowMs) + ttlSeconds * 1000;
      return { status: 'suspended', leaseId, sinceMs, expiresAtMs, cause };
    }
    case 'gone':
      return wasLost ? { status: 'lost', cause: keyState.cause } : registering(0, keyState.cause);
    case 'withdrawn':
      return { status: 'withdrawn', leaseId };
    case 'held': {
      const { present, revision, cause } = keyState;
      const entries = present.entries as ReadonlyMap<string, T>;
      const [[key, value]] = entries as Iterable<[string, T]> as [[string, T]];
      return {
        status: 'registered',
        key,
        value,
        entries,
        leaseId,
        revision,
        ttlSeconds,
        renewalLateMs,
        ...(cause && { cause }),
      };
    }
  }
}

/** What users may rely on: `lost` comes between there and not there, `registering` between not there and there. */
function inOrder<T>(last: RegistrationState<T> | undefined, next: RegistrationState<T>): RegistrationState<T> {
  if (last?.status === 'lost' && (next.status === 'registered' || next.status === 'withdrawn')) {
    return registering(0, undefined);
  }
  return next;
}

function registering(attempt: number, cause: PassingError | undefined): RegistrationState<never> {
  return { status: 'registering', attempt, ...(cause && { cause }) };
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
      a.renewalLateMs === b.renewalLateMs &&
      a.cause?.message === b.cause?.message &&
      a.entries.size === b.entries.size
    );
  }
  if (a.status === 'suspended' && b.status === 'suspended') return a.leaseId === b.leaseId;
  if (a.status === 'withdrawn' && b.status === 'withdrawn') return a.leaseId === b.leaseId;
  return a.status === b.status;
}
