import { distinctUntilChanged, filter, map, type Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import type { Snapshot } from './snapshot.ts';
import type { WatchPrefixOptions } from './watch-prefix-options.ts';
import { watchPrefixState$ } from './watch-prefix-state.ts';

/**
 * What etcd holds under a prefix, as an immutable Map: a new one for every change.
 *
 * Cold: each subscription lists the prefix and then watches it, over the one watch stream of the client. The
 * first snapshot comes after the list, also when the prefix is empty. While etcd is away nothing is
 * emitted, the last snapshot stays the last, and it retries without end; afterwards it goes on from where
 * it was, and no change is lost. {@link watchPrefixState$} is the same with its health in the value, and says
 * more about errors and options.
 *
 * To share one watch among many subscribers, let the count of them hold it; late ones get the latest
 * snapshot at once: `.pipe(shareReplay({ bufferSize: 1, refCount: true }))`.
 *
 * Never completes. Unsubscribing cancels the watcher on the server.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchPrefix$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefix$(etcd, '/services/user/').subscribe((hosts) => console.log(hosts.revision, [...hosts]));
 * ```
 */
export function watchPrefix$(
  client: EtcdClient,
  prefix: string,
  options?: WatchPrefixOptions<string>,
): Observable<Snapshot<string>>;
export function watchPrefix$<T>(
  client: EtcdClient,
  prefix: string,
  options: WatchPrefixOptions<T> & { readonly codec: Codec<T> },
): Observable<Snapshot<T>>;
export function watchPrefix$<T>(
  client: EtcdClient,
  prefix: string,
  options?: WatchPrefixOptions<T>,
): Observable<Snapshot<T>> {
  const states$ = watchPrefixState$(client, prefix, options as WatchPrefixOptions<T> & { readonly codec: Codec<T> });
  return states$.pipe(
    filter((state) => state.status !== 'pending'),
    map((state) => state.snapshot),
    distinctUntilChanged(),
  );
}
