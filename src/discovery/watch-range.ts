import { asyncScheduler, defer, startWith, switchMap, type Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { text } from '../codecs/text.ts';
import { invalidArgument } from '../errors.ts';
import type { Connection, KeyRange } from '../etcd/member.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { PrefixState } from './prefix-state.ts';
import { listAndWatch$ } from './list-and-watch.ts';
import type { WatchPrefixOptions } from './watch-prefix-options.ts';

/**
 * A range of keys followed over a connection: what every watch of this library is made of.
 *
 * What is known of the range outlives any one member: each member that comes up gets a session, which begins where
 * the one before had to stop.
 */
export function watchRange$<T>(
  connection: Pick<Connection, 'member$'>,
  range: KeyRange,
  options: WatchPrefixOptions<T>,
): Observable<PrefixState<T>> {
  const {
    codec = text() as unknown as Codec<T>,
    maxRetries = Infinity,
    scheduler = asyncScheduler,
    random = Math.random,
    onRejected,
  } = options;
  if (typeof maxRetries !== 'number' || !(maxRetries >= 0)) {
    throw invalidArgument('options.maxRetries', 'a number from 0', maxRetries);
  }
  if (typeof codec.decode !== 'function') throw invalidArgument('options.codec', 'a codec with decode()', codec);

  return defer(() => {
    const cache = new PrefixCache<T>({ codec, maxRetries, scheduler, onRejected });
    return connection.member$.pipe(
      switchMap((state) =>
        state.status === 'up'
          ? listAndWatch$({ member: state.member, range, cache, scheduler, random })
          : cache.troubled$(state.cause),
      ),
      startWith<PrefixState<T>>({ status: 'pending', attempt: 0, listed: 0 }),
    );
  });
}
