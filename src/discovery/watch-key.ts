import { distinctUntilChanged, filter, map, type Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { keyArgument } from '../etcd/keys.ts';
import { invalidArgument } from '../errors.ts';
import { watchRange$ } from './watch-range.ts';
import type { WatchPrefixOptions } from './watch-prefix-options.ts';

/**
 * One key's value, as it changes: for configuration.
 *
 * Cold, with the promises of {@link watchPrefixState$}: the value is emitted after it was first read, `undefined`
 * while the key is absent, and again whenever it is another; nothing while etcd is away, and no change is
 * lost. Put again with an equal text, nothing is emitted. A new value that the codec cannot read keeps the last
 * good one (nothing is emitted, also when there was none yet) and is told to `onRejected`.
 *
 * Never completes; errors as {@link watchPrefixState$}. Unsubscribing cancels the watcher on the server.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchKey$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchKey$(etcd, '/config/name').subscribe((name) => console.log(name ?? '(not set)'));
 * ```
 */
export function watchKey$(
  client: EtcdClient,
  key: string,
  options?: WatchPrefixOptions<string>,
): Observable<string | undefined>;
export function watchKey$<T>(
  client: EtcdClient,
  key: string,
  options: WatchPrefixOptions<T> & { readonly codec: Codec<T> },
): Observable<T | undefined>;
export function watchKey$<T>(
  client: EtcdClient,
  key: string,
  options?: WatchPrefixOptions<T>,
): Observable<T | undefined> {
  const { connection, namespace } = resolveClient(client);
  const bytes = keyArgument('key', key);
  if (bytes.length === 0) throw invalidArgument('key', 'a key that is not empty', key);
  const range = { key: Buffer.concat([namespace, bytes]), namespaceBytes: namespace.length };
  return watchRange$<T>(connection, range, options).pipe(
    filter((state) => state.status !== 'pending' && !state.rejected.has(key)),
    map((state) => (state.status === 'pending' ? undefined : state.snapshot.get(key))),
    distinctUntilChanged(),
  );
}
