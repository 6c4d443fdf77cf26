import { defer, map, startWith, switchMap, type Observable } from 'rxjs';
import type { Connection, KeyRange } from '../etcd/member.ts';
import { listAndWatch$ } from './list-and-watch.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { PrefixState } from './prefix-state.ts';
import type { RangeUpdate } from './range-update.ts';
import { watchPrefixOptions, type WatchPrefixOptions } from './watch-prefix-options.ts';

/** A range of keys watched over a connection: the base of every watch of this library. */
export function watchRange$<T>(
  connection: Pick<Connection, 'member$'>,
  range: KeyRange,
  options: WatchPrefixOptions<T> | undefined,
): Observable<PrefixState<T>> {
  return rangeUpdates$(connection, range, options).pipe(map(({ state }) => state));
}

/** How {@link rangeUpdates$} begins, and how finely it tells. */
export interface RangeUpdatesOptions {
  /** The revision that the first list is of. Default: the present one. */
  readonly listRevision?: number | undefined;
  readonly eachRevision?: boolean;
}

/**
 * The same, with the events that led to each state. The cache outlives any one member: each member that comes up goes
 * on where the one before had to stop.
 */
export function rangeUpdates$<T>(
  connection: Pick<Connection, 'member$'>,
  range: KeyRange,
  options: WatchPrefixOptions<T> | undefined,
  { listRevision, eachRevision = false }: RangeUpdatesOptions = {},
): Observable<RangeUpdate<T>> {
  const { codec, maxRetries, scheduler, random, onRejected } = watchPrefixOptions(options);

  return defer(() => {
    const cache = new PrefixCache<T>({ codec, maxRetries, scheduler, onRejected, listRevision });
    return connection.member$.pipe(
      switchMap((state) =>
        state.status === 'up'
          ? listAndWatch$({ member: state.member, range, cache, eachRevision, scheduler, random })
          : cache.failed$(state.cause),
      ),
      startWith<RangeUpdate<T>>({ state: { status: 'pending', attempt: 0, listed: 0 } }),
    );
  });
}
