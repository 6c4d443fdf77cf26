import { isObservable, type Observable, type ObservableInput } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { text } from '../codecs/text.ts';
import { invalidArgument } from '../errors.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { leaseArguments, registeredKey, type LeaseOptions } from './arguments.ts';
import { encode, type ValueSource } from './desired.ts';
import type { ConflictPolicy } from './key-plan.ts';
import type { RegistrationState } from './registration-state.ts';
import { registration$ } from './registration.ts';

/** How to register. */
export interface RegisterOptions<T> extends LeaseOptions {
  /** How values become bytes. Default: `text()`, for strings. */
  readonly codec?: Codec<T>;
  /** What to do about a key that another owner holds. Default `replace`. */
  readonly onConflict?: ConflictPolicy;
  /** `false` withdraws the keys, `true` brings them back; the lease is kept. Until it first emits: `false`. */
  readonly ready$?: Observable<boolean>;
  /**
   * `registered` is reported once etcd has answered the `write`, or once our own `watch` has told of it as well,
   * as it tells other watchers. Default `write`.
   */
  readonly confirm?: 'write' | 'watch';
  /** Its first emission ends the registration: drain, revoke, `deregistered`, completion. */
  readonly until?: ObservableInput<unknown>;
  /**
   * How long to wait after the keys were removed (or marked, see `drainValue`) when the registration ends by
   * `until` or by its value's completion: clients move away meanwhile. In milliseconds. Default 0.
   */
  readonly drainMs?: number;
  /** While draining, the keys keep this instead of being removed: a value marked as "on its way out". */
  readonly drainValue?: (value: T) => T;
}

/**
 * Registers a key, or several, for as long as the subscription lasts.
 *
 * Cold: each subscription has its own lease, and all of a client's leases are renewed over one stream. Emits a
 * state whenever it changes. `registered` comes only after etcd confirmed the keys under the lease; an outage
 * shorter than the TTL changes nothing in etcd. A registration that is lost (lease expired or revoked, server
 * wiped, process suspended) is made again under a new lease with the latest values, with a jittered delay and for
 * ever. Several keys are there all or not at all.
 *
 * A value may be an Observable: the latest is put under the same lease, in order; one with equal bytes is not
 * written again; its completion deregisters, as `until` does. The output then ends with `deregistered` and
 * completes. Unsubscribing at any moment revokes the lease in the background, trying until the TTL has ended it.
 *
 * Fails with an `RxEtcdError`: `permission-denied`, `unauthenticated`, `client-closed`, `invalid-request`, and
 * `key-conflict` with `onConflict: 'fail'`. Errors of `value`, `ready$` and `until` pass through. A bad argument
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
  entries: Readonly<Record<string, ValueSource<string>>>,
  options?: RegisterOptions<string>,
): Observable<RegistrationState>;
export function register$<T>(
  client: EtcdClient,
  entries: Readonly<Record<string, ValueSource<T>>>,
  options: RegisterOptions<T> & { readonly codec: Codec<T> },
): Observable<RegistrationState<T>>;
export function register$<T>(
  client: EtcdClient,
  keyOrEntries: string | Readonly<Record<string, ValueSource<T>>>,
  ...rest: readonly unknown[]
): Observable<RegistrationState<T>> {
  const { connection, namespace } = resolveClient(client);
  const isSingle = !isRecord(keyOrEntries);
  const entries = isSingle ? [[keyOrEntries, rest[0] as ValueSource<T>] as const] : Object.entries(keyOrEntries);
  const options = (rest[isSingle ? 1 : 0] ?? {}) as RegisterOptions<T>;
  if (entries.length === 0) throw invalidArgument('entries', 'at least one key', keyOrEntries);

  const {
    codec = text() as Codec<unknown> as Codec<T>,
    onConflict = 'replace',
    confirm = 'write',
    drainMs = 0,
  } = options;
  oneOf('onConflict', onConflict, ['replace', 'wait', 'fail']);
  oneOf('confirm', confirm, ['write', 'watch']);
  if (!Number.isFinite(drainMs) || drainMs < 0) throw invalidArgument('drainMs', 'a number of milliseconds', drainMs);
  if (options.ready$ !== undefined && !isObservable(options.ready$))
    throw invalidArgument('ready$', 'an Observable', options.ready$);
  const keys = entries.map(([key]) => registeredKey(key, namespace));
  for (const [key, source] of entries) {
    if (isObservable(source)) continue;
    if (options.codec === undefined && typeof source !== 'string')
      throw invalidArgument('value', 'a string, or a `codec` option', source);
    encode(codec, key, source);
  }

  return registration$({
    connection,
    ...leaseArguments(options),
    keys,
    sources: entries.map(([, source]) => source),
    codec,
    onConflict,
    confirm,
    drainMs,
    ready$: options.ready$,
    until: options.until,
    drainValue: options.drainValue,
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function oneOf(argument: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.includes(value as string))
    throw invalidArgument(argument, allowed.map((each) => JSON.stringify(each)).join(' or '), value);
}
