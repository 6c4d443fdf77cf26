import { asyncScheduler, type SchedulerLike } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { keyArgument } from '../etcd/keys.ts';
import { MAX_TTL_SECONDS } from '../etcd/member.ts';
import { isStream } from './desired.ts';
import type { RegisteredKey } from './reconcile.ts';

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

export const LEASE_OPTIONS: readonly (keyof LeaseOptions)[] = ['ttlSeconds', 'scheduler', 'random'];

// Not every runtime knows the symbol, whatever the types say.
const OBSERVABLE = (Symbol as { readonly observable?: symbol }).observable ?? '@@observable';

const DEFAULT_TTL_SECONDS = 10;

export function leaseArguments(options: LeaseOptions): Required<LeaseOptions> {
  const { ttlSeconds = DEFAULT_TTL_SECONDS, scheduler = asyncScheduler, random = Math.random } = options;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
    throw invalidArgument('options.ttlSeconds', `a whole number from 1 to ${MAX_TTL_SECONDS}`, ttlSeconds);
  }
  if (!hasMethods(scheduler, 'now', 'schedule')) throw invalidArgument('options.scheduler', 'a scheduler', scheduler);
  if (typeof random !== 'function') throw invalidArgument('options.random', 'a function', random);
  return { ttlSeconds, scheduler, random };
}

/** The options as an object, all of them known: a misspelt one would be ignored in silence. */
export function knownOptions<O extends object>(options: O | undefined, known: readonly string[]): O {
  if (options === undefined) return {} as O;
  if (typeof options !== 'object' || (options as unknown) === null || Array.isArray(options) || isStream(options)) {
    throw invalidArgument('options', 'an object', options);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw invalidArgument('options', `only ${known.join(', ')}`, name);
  }
  return options;
}

export function registeredKey(name: unknown, namespace: Uint8Array): RegisteredKey {
  const key = keyArgument('key', name);
  if (key.length === 0) throw invalidArgument('key', 'a key that is not empty', name);
  return { name: name as string, bytes: Buffer.concat([namespace, key]), namespaceBytes: namespace.length };
}

export function oneOf(argument: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.includes(value as string)) {
    throw invalidArgument(argument, allowed.map((each) => JSON.stringify(each)).join(' or '), value);
  }
}

/** Whether `from` of RxJS takes it: a string is an iterable too, but hardly meant as one. */
export function isObservableInput(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return isStream(value) || [Symbol.iterator, 'then', 'getReader', OBSERVABLE].some((name) => hasMethods(value, name));
}

export function hasMethods(value: unknown, ...names: readonly PropertyKey[]): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return names.every((name) => typeof (value as Record<PropertyKey, unknown>)[name] === 'function');
}
