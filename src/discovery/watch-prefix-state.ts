import type { Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { watchRange$ } from './watch-range.ts';
import { prefixRange } from './prefix-range.ts';
import type { PrefixState } from './prefix-state.ts';
import type { WatchPrefixOptions } from './watch-prefix-options.ts';

/**
 * What etcd holds under a prefix, with how well it is known in the value.
 *
 * Cold: each subscription lists the prefix and then watches it, over the one watch stream of the client.
 * Emits `pending` at once, `live` with a snapshot after the list (also when the prefix is empty) and after
 * each change, and `stale` with the last snapshot for as long as contact is lost; then it goes on from
 * where it was, and no change is lost. Retries without end unless `maxRetries` bounds it. Never completes.
 *
 * Errors: a thrown `invalid-argument` for a bad argument; an error notification with the code
 * `permission-denied`, `unauthenticated`, `client-closed`, `invalid-request` or `retries-exhausted`.
 * Unsubscribing cancels the watcher on the server.
 *
 * With a namespace of a client, `prefix` and the keys are relative to the namespace. A prefix matches
 * by bytes: `/services/user` matches `/services/users/1` too, `/services/user/` does not.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#watch-api
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchPrefixState$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefixState$(etcd, '/services/user/').subscribe((state) => {
 *   if (state.status === 'live') console.log([...state.snapshot]);
 *   if (state.status === 'stale') console.warn('etcd is away:', state.cause.message);
 * });
 * ```
 */
export function watchPrefixState$(
  client: EtcdClient,
  prefix: string,
  options?: WatchPrefixOptions<string>,
): Observable<PrefixState<string>>;
export function watchPrefixState$<T>(
  client: EtcdClient,
  prefix: string,
  options: WatchPrefixOptions<T> & { readonly codec: Codec<T> },
): Observable<PrefixState<T>>;
export function watchPrefixState$<T>(
  client: EtcdClient,
  prefix: string,
  options?: WatchPrefixOptions<T>,
): Observable<PrefixState<T>> {
  const { connection, namespace } = resolveClient(client);
  const range = prefixRange('prefix', prefix, namespace);
  return watchRange$(connection, range, options);
}
