import { type Observable, type ObservableInput } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { text } from '../codecs/text.ts';
import { invalidArgument } from '../errors.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { LONGEST_TIMER_MS } from '../time/durations.ts';
import {
  LEASE_OPTIONS,
  hasMethods,
  isObservableInput,
  knownOptions,
  leaseArguments,
  oneOf,
  registeredKey,
  type LeaseOptions,
} from './arguments.ts';
import { encode, entriesArgument, isStream, type Entries, type KeySets, type ValueSource } from './desired.ts';
import type { ConflictPolicy, RegisteredKey } from './reconcile.ts';
import type { RegistrationState } from './registration-state.ts';
import { registration$, type RegistrationOptions } from './registration.ts';

/** How to register. */
export interface RegisterOptions<T> extends LeaseOptions {
  /** How values become bytes. Default: `text()`, for strings. */
  readonly codec?: Codec<T>;
  /** What to do about a key that another owner holds. Default `replace`. */
  readonly onConflict?: ConflictPolicy;
  /** `false` withdraws the keys, `true` brings them back; the lease is kept. Until it first emits: `false`. */
  readonly ready?: ObservableInput<boolean>;
  /**
   * `registered` is reported once etcd has answered the `write`, or once our own `watch` has told of it as well,
   * as it tells other watchers. Default `write`.
   */
  readonly confirm?: 'write' | 'watch';
  /** Its first emission, or its abort, ends the registration: drain, revoke, `deregistered`, completion. */
  readonly until?: ObservableInput<unknown> | AbortSignal;
  /**
   * How long to wait after the keys were removed (or marked, see `drainValue`) when the registration ends by
   * `until` or by its value's completion: clients move away meanwhile. In milliseconds. Default 0.
   */
  readonly drainMs?: number;
  /** While draining, the keys keep this instead of being removed: a value marked as "on its way out". */
  readonly drainValue?: (value: T) => T;
}

/**
 * Keys with their values, or a stream of such sets: a key that is in the next one no more is removed, under the same
 * lease. Keys of one set are there all or not at all; etcd takes 128 in one transaction unless told otherwise.
 */
export type RegisteredEntries<T> = Entries<ValueSource<T>> | Observable<Entries<T>> | AsyncIterable<Entries<T>>;

/**
 * Registers a key, or several, for as long as the subscription lasts.
 *
 * Cold: each subscription has its own lease, and all of a client's leases are renewed over one stream. Emits a
 * state whenever it changes. `registered` comes only after etcd confirmed the keys under the lease; an outage
 * shorter than the TTL changes nothing in etcd. A registration that is lost (lease expired or revoked, server
 * wiped, process suspended) is made again under a new lease with the latest values, with a jittered delay and without
 * a limit. Several keys are there all or not at all.
 *
 * A value may be a stream (an Observable or an async iterable): the latest is put under the same lease, in order; one
 * with equal bytes is not written again; its completion deregisters, as `until` does. So may the set of keys. The output
 * then ends with `deregistered` and completes: `await lastValueFrom(register$(…))` waits for it. Unsubscribing at any
 * moment revokes the lease in the background, trying until the TTL has ended it.
 *
 * Fails with an `RxEtcdError`: `permission-denied`, `unauthenticated`, `client-closed`, `invalid-request`, and
 * `key-conflict` with `onConflict: 'fail'`. Errors of `value`, `ready` and `until`, and what `drainValue` throws, pass through. A bad argument
 * throws `invalid-argument` at the call.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { register$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: 'http://127.0.0.1:2379' });
 * const registration = register$(etcd, '/services/user/a1', '10.0.0.7:8080', { ttlSeconds: 10 }).subscribe((state) => {
 *   console.log(state.status); // registering, registered
 *   if (state.status !== 'registered') return;
 *   registration.unsubscribe();
 *   etcd.close();
 * });
 * ```
 */
export function register$(
  client: EtcdClient,
  key: string,
  value: ValueSource<string>,
  options?: RegisterOptions<string>,
): Observable<RegistrationState>;
export function register$<T>(
  client: EtcdClient,
  key: string,
  value: ValueSource<T>,
  options: RegisterOptions<T> & { readonly codec: Codec<T> },
): Observable<RegistrationState<T>>;
export function register$(
  client: EtcdClient,
  entries: RegisteredEntries<string>,
  options?: RegisterOptions<string>,
): Observable<RegistrationState>;
export function register$<T>(
  client: EtcdClient,
  entries: RegisteredEntries<T>,
  options: RegisterOptions<T> & { readonly codec: Codec<T> },
): Observable<RegistrationState<T>>;
export function register$<T>(
  client: EtcdClient,
  keyOrEntries: string | RegisteredEntries<T>,
  ...rest: readonly unknown[]
): Observable<RegistrationState<T>> {
  const { connection, namespace } = resolveClient(client);
  const isSingle = typeof keyOrEntries !== 'object' || (keyOrEntries as unknown) === null;
  const options = knownOptions(rest[isSingle ? 1 : 0] as RegisterOptions<T> | undefined, REGISTER_OPTIONS);
  const { codec = text() as Codec<unknown> as Codec<T>, onConflict = 'replace', confirm = 'write' } = options;
  const { drainMs = 0, drainValue } = options;
  if (!hasMethods(codec, 'encode')) throw invalidArgument('options.codec', 'a codec', codec);
  oneOf('options.onConflict', onConflict, ['replace', 'wait', 'fail']);
  oneOf('options.confirm', confirm, ['write', 'watch']);
  if (typeof drainMs !== 'number' || !(drainMs >= 0 && drainMs <= LONGEST_TIMER_MS)) {
    throw invalidArgument('options.drainMs', 'milliseconds from 0 and below 2^31', drainMs);
  }
  if (drainValue !== undefined && typeof drainValue !== 'function') {
    throw invalidArgument('options.drainValue', 'a function', drainValue);
  }
  for (const name of ['ready', 'until'] as const) {
    const given: unknown = options[name];
    const isSignal = name === 'until' && given instanceof AbortSignal;
    if (given === undefined || isSignal || isObservableInput(given)) continue;
    throw invalidArgument(`options.${name}`, name === 'until' ? 'a stream or an AbortSignal' : 'a stream', given);
  }
  const common = {
    connection,
    ...leaseArguments(options),
    codec,
    onConflict,
    confirm,
    drainMs,
    drainValue,
    ready: options.ready,
    until: options.until,
  } satisfies Partial<RegistrationOptions<T>>;

  if (!isSingle && isStream(keyOrEntries)) {
    const toKey = (name: string): RegisteredKey => registeredKey(name, namespace);
    const sets = { source: keyOrEntries as KeySets<T>['source'], toKey } satisfies KeySets<T>;
    return registration$({ ...common, keys: [], sources: [], sets });
  }
  const entries = isSingle
    ? [[keyOrEntries as string, rest[0] as ValueSource<T>] as const]
    : entriesArgument('entries', keyOrEntries as Entries<ValueSource<T>>);
  if (entries.length === 0) throw invalidArgument('entries', 'at least one key', keyOrEntries);
  const keys = entries.map(([key]) => registeredKey(key, namespace));
  for (const [key, source] of entries) {
    if (isStream(source)) continue;
    // It would end the registration as soon as it had a value, as any stream that completes.
    if (hasMethods(source, 'then')) throw invalidArgument('value', 'a value or a stream: await the promise', source);
    encode(codec, key, source);
  }
  return registration$({ ...common, keys, sources: entries.map(([, source]) => source) });
}

const REGISTER_OPTIONS: readonly (keyof RegisterOptions<unknown>)[] = [
  ...LEASE_OPTIONS,
  'codec',
  'onConflict',
  'ready',
  'confirm',
  'until',
  'drainMs',
  'drainValue',
];
