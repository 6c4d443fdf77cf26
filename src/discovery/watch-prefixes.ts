import { defer, filter, map, type Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { invalidArgument } from '../errors.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import type { KeyRange } from '../etcd/member.ts';
import { watchRange$ } from './watch-range.ts';
import { prefixRange } from './prefix-range.ts';
import { Snapshot, type EntryChange } from './snapshot.ts';
import { watchPrefixOptions, type WatchPrefixOptions } from './watch-prefix-options.ts';

/**
 * Several prefixes at the same revision: what is combined from them never shows one ahead of the other.
 *
 * Cold. Emits one snapshot for each prefix, in the order given, after the list and then whenever one of them
 * changed; all of one emission are what etcd held at one and the same revision, a transaction over several
 * prefixes included. A snapshot whose prefix did not change stays the very same. Never completes; errors
 * as `watchPrefixState$`. Unsubscribing cancels the watcher on the server.
 *
 * It watches the one range from the first prefix to the last, because only one watcher has one order of events. So
 * etcd sends whatever lies between as well (it is dropped unread): choose prefixes that are neighbours.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchPrefixes$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefixes$(etcd, ['/services/friend/', '/services/user/']).subscribe(([friends, users]) => {
 *   console.log(friends?.size, users?.size);
 * });
 * ```
 */
export function watchPrefixes$(
  client: EtcdClient,
  prefixes: readonly string[],
  options?: WatchPrefixOptions<string>,
): Observable<readonly Snapshot<string>[]>;
export function watchPrefixes$<T>(
  client: EtcdClient,
  prefixes: readonly string[],
  options: WatchPrefixOptions<T> & { readonly codec: Codec<T> },
): Observable<readonly Snapshot<T>[]>;
export function watchPrefixes$<T>(
  client: EtcdClient,
  prefixes: readonly string[],
  options?: WatchPrefixOptions<T>,
): Observable<readonly Snapshot<T>[]> {
  if (!isFilled(prefixes)) {
    throw invalidArgument('prefixes', 'an array of at least one prefix', prefixes);
  }
  const { connection, namespace } = resolveClient(client);
  const range = spanningRange(prefixes.map((prefix, index) => prefixRange(`prefixes[${index}]`, prefix, namespace)));
  const { codec, ...rest } = watchPrefixOptions(options);
  const within: Codec<T> = {
    encode: (value, key) => codec.encode(value, key),
    decode: (bytes, key) => (prefixes.some((prefix) => key.startsWith(prefix)) ? codec.decode(bytes, key) : undefined),
  };
  return defer(() => {
    let whole: Snapshot<T> | undefined;
    let parts: readonly Snapshot<T>[] = prefixes.map(() => Snapshot.of<T>([]));
    return watchRange$<T>(connection, range, { ...rest, codec: within }).pipe(
      filter((state) => state.status !== 'pending' && state.snapshot !== whole),
      map((state) => {
        const next = (state as Exclude<typeof state, { status: 'pending' }>).snapshot;
        parts = splitChanges(whole, next, prefixes, parts);
        whole = next;
        return parts;
      }),
    );
  });
}

function splitChanges<T>(
  before: Snapshot<T> | undefined,
  after: Snapshot<T>,
  prefixes: readonly string[],
  parts: readonly Snapshot<T>[],
): readonly Snapshot<T>[] {
  const changes = prefixes.map(() => [] as EntryChange<T>[]);
  Snapshot.diff(before ?? Snapshot.of<T>([]), after, (key, _, entry) => {
    for (const [index, prefix] of prefixes.entries()) if (key.startsWith(prefix)) changes[index]?.push([key, entry]);
  });
  return parts.map((part, index) => {
    const own = changes[index] ?? [];
    return own.length === 0 && before !== undefined ? part : Snapshot.change(part, own, after.revision);
  });
}

function isFilled(prefixes: unknown): boolean {
  return Array.isArray(prefixes) && prefixes.length > 0;
}

/** The smallest range that holds all the given ones. */
function spanningRange(ranges: readonly KeyRange[]): KeyRange {
  const [first, ...others] = ranges as readonly [KeyRange, ...KeyRange[]];
  return others.reduce(
    (whole, range) => ({
      key: Buffer.compare(range.key, whole.key) < 0 ? range.key : whole.key,
      rangeEnd: later(whole.rangeEnd, range.rangeEnd),
      namespaceBytes: first.namespaceBytes,
    }),
    first,
  );
}

function later(a: Uint8Array = NO_END, b: Uint8Array = NO_END): Uint8Array {
  if (a.length === 1 && a[0] === 0) return a;
  if (b.length === 1 && b[0] === 0) return b;
  return Buffer.compare(a, b) >= 0 ? a : b;
}

// etcd's sign for "to the last key".
const NO_END = Uint8Array.of(0);
