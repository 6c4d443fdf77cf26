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
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { KeyRange, Member, WireEvent } from '../etcd/member.ts';
import { MAX_DELAY_MS, backoffDelayMs } from '../time/backoff.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { matches, newList, type RangeContents } from './range-contents.ts';
import type { RangeUpdate } from './range-update.ts';

/**
 * Up to so many keys are compared one by one when the history is proven: that finds a restored history in which
 * another key was deleted. It costs about 60 bytes a key; thousands of clients come back at once.
 */
const PROOF_KEYS = 1000;

export interface ListAndWatchOptions<T> {
  readonly member: Member;
  readonly range: KeyRange;
  readonly cache: PrefixCache<T>;
  /** Whether the events of each revision make an update of their own, also where one message brings several. */
  readonly eachRevision: boolean;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/**
 * A range listed if need be, then watched, over one member; and again, after a delay, when that fails for a reason that
 * concerns this range alone. Never completes; fails with what retrying cannot cure.
 */
export function listAndWatch$<T>(options: ListAndWatchOptions<T>): Observable<RangeUpdate<T>> {
  const { member, range, cache, scheduler, random } = options;
  // A list made over this very connection needs no proof of its history.
  let prove = cache.contents !== undefined;
  let resyncedAtMs = -Infinity;
  let quickResyncs = 0;

  const once$ = defer(() => {
    if (cache.contents !== undefined) return watch$(options, prove);
    prove = false;
    return concat(
      list$(member, range, cache),
      defer(() => watch$(options, false)),
    );
  });

  const pause$ = (failures: number): Observable<never> =>
    defer(() => timer(backoffDelayMs(failures, random), scheduler).pipe(ignoreElements()));

  const retry$ = (fault: EtcdFault): Observable<RangeUpdate<T>> =>
    concat(
      cache.failed$(fault),
      defer(() => pause$(cache.failures)),
    );

  /** At once the first time; a history that is gone again and again is a failure like any other. */
  const resync$ = (fault: EtcdFault, then$: Observable<never>): Observable<RangeUpdate<T>> =>
    defer(() => {
      const nowMs = scheduler.now();
      const isQuick = Math.abs(nowMs - resyncedAtMs) < 2 * MAX_DELAY_MS;
      quickResyncs = isQuick ? quickResyncs + 1 : 0;
      resyncedAtMs = nowMs;
      if (quickResyncs === 0) return then$;
      return concat(cache.failed$(fault), pause$(quickResyncs), then$);
    });

  const after$ = (error: unknown): Observable<RangeUpdate<T>> => {
    // A bug, or a function of the user's that threw: retrying would hide it.
    if (!(error instanceof EtcdFault)) return throwError(() => error);
    const fatal = fatalError(error);
    if (fatal !== undefined) return throwError(() => fatal);
    switch (error.kind) {
      case 'connection':
      case 'token':
        // The connection is lost: the state comes with it. Should it not come, the same member is asked again.
        return concat(
          timer(MAX_DELAY_MS, scheduler).pipe(ignoreElements()),
          defer(() => cache.failed$(error)),
        );
      case 'compacted':
      case 'future-revision':
        if (cache.contents === undefined) {
          // A list of a past revision that etcd cannot give: the next one is of the present.
          if (cache.listRevision === undefined) return retry$(error);
          cache.needsList(error.kind === 'compacted' ? 'compacted' : 'history-replaced');
          return EMPTY;
        }
        prove = false;
        if (error.kind === 'compacted') return resync$(error, skipCompacted$(member, range, cache));
        cache.needsList('history-replaced');
        return resync$(error, EMPTY);
      default:
        return retry$(error);
    }
  };

  return once$.pipe(catchError(after$), repeat());
}

/** Lists everything; then the cache holds it. */
function list$<T>(member: Member, range: KeyRange, cache: PrefixCache<T>): Observable<RangeUpdate<T>> {
  return new Observable<RangeUpdate<T>>((subscriber) => {
    const list = newList(cache.codec);
    return member.list$(range, cache.listRevision).subscribe({
      next: ({ entries, revision }) => {
        list.add(entries, revision);
        const update = cache.listing(list.size);
        if (update !== undefined) subscriber.next(update);
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
      complete: () => {
        let update: RangeUpdate<T>;
        try {
          update = cache.listed(list.done());
        } catch (error) {
          subscriber.error(error);
          return;
        }
        subscriber.next(update);
        subscriber.complete();
      },
    });
  });
}

/**
 * Watches on from what the cache holds. With `prove`, the history is proven first to be the one it comes from: that is
 * asked beside the watch, and events are held back until it is answered. Completes when it is another one.
 */
function watch$<T>(
  { member, range, cache, eachRevision }: ListAndWatchOptions<T>,
  prove: boolean,
): Observable<RangeUpdate<T>> {
  return new Observable<RangeUpdate<T>>((subscriber) => {
    const from = cache.contents as RangeContents<T>;
    let held: (readonly WireEvent[])[] | undefined = [];
    let created = false;
    let proven = !prove;
    const error = (reason: unknown): void => {
      subscriber.error(reason);
    };
    const emit = (update: RangeUpdate<T> | undefined): void => {
      if (update !== undefined) subscriber.next(update);
    };
    const apply = (events: readonly WireEvent[]): void => {
      try {
        if (!eachRevision) emit(cache.apply(events));
        else for (const revision of splitRevisions(events)) if (!subscriber.closed) emit(cache.apply(revision));
      } catch (reason) {
        error(reason);
      }
    };
    const release = (): void => {
      if (!created || !proven || held === undefined) return;
      const backlog = held;
      held = undefined;
      emit(cache.watching());
      // The subscriber may leave inside an emission.
      for (const events of backlog) if (!subscriber.closed) apply(events);
    };
    subscriber.add(
      member.watch$({ range, startRevision: from.position + 1, catchesUp: prove }).subscribe({
        next: (message) => {
          if (message.type === 'created') {
            created = true;
            release();
          } else if (held === undefined) apply(message.events);
          else held.push(message.events);
        },
        error,
      }),
    );
    if (!prove) return;
    subscriber.add(
      member.fingerprint$(range, from.position, PROOF_KEYS).subscribe({
        next: (answer) => {
          if (matches(from, answer)) {
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
      // The list that follows meets the same fault, and handles it.
      cache.needsList('compacted');
      return EMPTY;
    }),
    ignoreElements(),
  );
}

function splitRevisions(events: readonly WireEvent[]): WireEvent[][] {
  const runs: WireEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.modRevision === event.modRevision) run.push(event);
    else runs.push([event]);
  }
  return runs;
}
