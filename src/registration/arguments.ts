import { asyncScheduler, type SchedulerLike } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { keyArgument } from '../etcd/keys.ts';
import type { RegisteredKey } from './key-plan.ts';

/** How a lease is held. */
export interface LeaseOptions {
  /**
   * How long the lease outlives a process that dies, in whole seconds. Default 10, at least 1; etcd grants more
   * when it is below its minimum (2 on a default cluster).
   */
  readonly ttlSeconds?: number;
  /** Clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
  /** Where jitter and lease ids come from: uniform in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

const DEFAULT_TTL_SECONDS = 10;

// https://github.com/etcd-io/etcd/blob/main/server/lease/lessor.go, MaxLeaseTTL
const MAX_TTL_SECONDS = 9_000_000_000;

export function leaseArguments(options: LeaseOptions): Required<LeaseOptions> {
  const { ttlSeconds = DEFAULT_TTL_SECONDS, scheduler = asyncScheduler, random = Math.random } = options;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
    throw invalidArgument('ttlSeconds', `a whole number from 1 to ${MAX_TTL_SECONDS}`, ttlSeconds);
  }
  return { ttlSeconds, scheduler, random };
}

export function registeredKey(name: unknown, namespace: Uint8Array): RegisteredKey {
  const key = keyArgument('key', name);
  if (key.length === 0) throw invalidArgument('key', 'a key that is not empty', name);
  return { name: name as string, bytes: Buffer.concat([namespace, key]), namespaceBytes: namespace.length };
}
