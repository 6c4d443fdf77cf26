import {
  EMPTY,
  Observable,
  catchError,
  concat,
  defer,
  ignoreElements,
  repeat,
  tap,
  throwError,
  timer,
  type SchedulerLike,
} from 'rxjs';
import { MAX_DELAY_MS, backoffDelayMs } from '../time/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { KeyRange, Member, WireEvent } from '../etcd/member.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { fits, newList, type RangeContents } from './range-contents.ts';
import type { PrefixState } from './prefix-state.ts';

/**
 * Up to so many keys are compared one by one when the history is proven: that finds a restored history in which
 * another key was deleted. It costs about 60 bytes a key; thousands of clients come back at once.
 */
const PROOF_KEYS = 1000;

export interface ListAndWatchOptions<T> {
  readonly member: Member;
  readonly range: KeyRange;
  readonly cache: PrefixCache<T>;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/**
 * A range followed over one member: listed if need be, then watched; and again, after a delay, when that fails for
 * a reason that does not speak against the member. Never completes; fails with what retrying cannot cure.
 */
export function listAndWatch$<T>({
  member,
  range,
  cache,
  scheduler,
  random,
}: ListAndWatchOptions<T>): Observable<PrefixState<T>> {
  // A list, or a position, had on this very connection needs no proof.
  let prove = cache.contents !== undefined;
  let compactedAtMs = -Infinity;

  const once$ = defer(() => {
    if (cache.contents !== undefined) return watch$(member, range, cache, prove);
    prove = false;
    return concat(
      list$(member, range, cache),
      defer(() => watch$(member, range, cache, false)),
    );
  });

  const after$ = (error: unknown): Observable<PrefixState<T>> => {
    // Not etcd's doing but a mistake in code: taken for weather, it would be silence for ever.
    if (!(error instanceof EtcdFault)) return throwError(() => error);
    const fatal = fatalError(error);
    if (fatal !== undefined) return throwError(() => fatal);
    switch (error.kind) {
      case 'connection':
      case 'token':
        // The member is lost: its successor comes through member$, and the state with it. Should it not come, then
        // asking the same member again is better than silence for ever.
        return concat(
          timer(MAX_DELAY_MS, scheduler).pipe(ignoreElements()),
          defer(() => cache.troubled$(error)),
        );
      case 'compacted':
        // While it lists, a compaction is a failure like any other: the next list may be in time.
        if (cache.contents === undefined) break;
        prove = false;
        // Again so soon: the store is compacted faster than one can ask. Without a pause, asking would not end.
        return concat(
          defer(() => {
            const soon = scheduler.now() - compactedAtMs < MAX_DELAY_MS;
            compactedAtMs = scheduler.now();
            return soon ? timer(backoffDelayMs(3, random), scheduler).pipe(ignoreElements()) : EMPTY;
          }),
          skipCompacted$(member, range, cache),
        );
      case 'future-revision':
        if (cache.contents === undefined) break;
        cache.needsList('history-replaced');
        return EMPTY;
      default:
    }
    return concat(
      cache.troubled$(error),
      defer(() => timer(backoffDelayMs(cache.failures, random), scheduler).pipe(ignoreElements())),
    );
  };

  return once$.pipe(catchError(after$), repeat());
}

/** Lists everything; then it is what is known. */
function list$<T>(member: Member, range: KeyRange, cache: PrefixCache<T>): Observable<PrefixState<T>> {
  return new Observable<PrefixState<T>>((subscriber) => {
    const list = newList(cache.codec);
    return member.list$(range).subscribe({
      next: ({ entries, revision }) => {
        list.add(entries, revision);
        const state = cache.listing(list.size);
        if (state !== undefined) subscriber.next(state);
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
      complete: () => {
        subscriber.next(cache.listed(list.done()));
        subscriber.complete();
      },
    });
  });
}

/**
 * Watches on from what is known. With `prove`, the history is proven first to be the one it comes from: that is
 * asked beside the watch, and events are held back until it is answered. Completes when it is another one.
 */
function watch$<T>(member: Member, range: KeyRange, cache: PrefixCache<T>, prove: boolean): Observable<PrefixState<T>> {
  return new Observable<PrefixState<T>>((subscriber) => {
    const from = cache.contents as RangeContents<T>;
    let held: (readonly WireEvent[])[] | undefined = [];
    let created = false;
    let proven = !prove;
    const emit = (state: PrefixState<T> | undefined): void => {
      if (state !== undefined) subscriber.next(state);
    };
    const release = (): void => {
      if (!created || !proven || held === undefined) return;
      const backlog = held;
      held = undefined;
      emit(cache.proven());
      for (const events of backlog) {
        // Whoever unsubscribes has heard enough.
        if (!subscriber.closed) emit(cache.apply(events));
      }
    };
    const error = (reason: unknown): void => {
      subscriber.error(reason);
    };
    subscriber.add(
      member.watch$({ range, startRevision: from.position + 1, catchesUp: prove }).subscribe({
        next: (message) => {
          if (message.type === 'created') {
            created = true;
            release();
          } else if (held === undefined) emit(cache.apply(message.events));
          else held.push(message.events);
        },
        error,
      }),
    );
    if (!prove) return;
    subscriber.add(
      member.fingerprint$(range, from.position, PROOF_KEYS).subscribe({
        next: (answer) => {
          if (fits(from, answer)) {
            proven = true;
            release();
          } else {
            cache.needsList('history-replaced');
            subscriber.complete();
          }
        },
        error,
      }),
    );
  });
}

/** Looks whether the range is as it was although its history was compacted away. Completes in any case. */
function skipCompacted$<T>(member: Member, range: KeyRange, cache: PrefixCache<T>): Observable<never> {
  return member.fingerprint$(range, undefined, PROOF_KEYS).pipe(
    tap((answer) => {
      cache.compacted(answer);
    }),
    catchError(() => {
      // The list that comes then meets the same trouble, and deals with it.
      cache.needsList('compacted');
      return EMPTY;
    }),
    ignoreElements(),
  );
}
