import {
  EMPTY,
  Observable,
  asyncScheduler,
  catchError,
  concat,
  concatMap,
  defer,
  ignoreElements,
  map,
  merge,
  of,
  repeat,
  startWith,
  switchMap,
  tap,
  throwError,
  timer,
  type SchedulerLike,
} from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { text } from '../codecs/text.ts';
import { RxEtcdError, invalidArgument } from '../errors.ts';
import { MAX_DELAY_MS, backoffDelayMs } from '../etcd/backoff.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { EtcdFault, fatalError, toFault } from '../etcd/faults.ts';
import type { Connection, KeyRange, Link, WireEvent } from '../etcd/link.ts';
import { addPage, applyEvents, emptyContents, fits, replaceContents, type PrefixContents } from './prefix-contents.ts';
import { prefixRange } from './prefix-range.ts';
import type { PrefixState, ResyncReason } from './prefix-state.ts';
import { Snapshot } from './snapshot.ts';

/** How a prefix, or a key, is watched. */
export interface WatchPrefixOptions<T> {
  /** How values are read. Default: `text()`. A value it cannot read is left out, and named in the state's `rejected`. */
  readonly codec?: Codec<T>;
  /** Told once about each value the codec could not read, with its key. What it throws is reported as unhandled. */
  readonly onRejected?: (error: RxEtcdError, key: string) => void;
  /**
   * How many failures in a row are borne before the stream ends with the error `retries-exhausted`.
   * Default: no bound.
   */
  readonly maxRetries?: number;
  /** The clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
  /** The source of jitter, in [0, 1). Default: `Math.random`. */
  readonly random?: () => number;
}

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
  options: WatchPrefixOptions<T> = {},
): Observable<PrefixState<T>> {
  const { connection, namespace } = resolveClient(client);
  const range = prefixRange('prefix', prefix, namespace);
  return followPrefix$(connection, range, options);
}

/** The same over any {@link Connection}: what the tests drive in virtual time. */
export function followPrefix$<T>(
  connection: Connection,
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
  if (typeof maxRetries !== 'number' || !(maxRetries >= 0))
    throw invalidArgument('options.maxRetries', 'a number from 0', maxRetries);
  if (typeof codec.decode !== 'function') throw invalidArgument('options.codec', 'a codec with decode()', codec);

  return defer(() => {
    /** Undefined until the first list is complete. */
    let contents: PrefixContents<T> | undefined;
    /** Why the contents can only be had by a list. */
    let listBecause: ResyncReason | undefined;
    let failures = 0;
    let staleSinceMs: number | undefined;

    const live = (resync?: ResyncReason): PrefixState<T> => {
      const { snapshot, rejected } = contents as PrefixContents<T>;
      return { status: 'live', snapshot, rejected, ...(resync !== undefined && { resync }) };
    };

    const troubled$ = (fault: EtcdFault): Observable<PrefixState<T>> => {
      failures += 1;
      if (failures > maxRetries) {
        const message = `gave up after ${failures} failures in a row (options.maxRetries is ${maxRetries}): ${fault.message}`;
        return throwError(() => new RxEtcdError('retries-exhausted', message, { cause: fault }));
      }
      if (contents === undefined) return of({ status: 'pending', attempt: failures, listed: 0, cause: fault });
      const { snapshot, rejected } = contents;
      staleSinceMs ??= scheduler.now();
      return of({ status: 'stale', snapshot, rejected, sinceMs: staleSinceMs, cause: fault, attempt: failures });
    };

    const proven = (): void => {
      failures = 0;
      staleSinceMs = undefined;
    };

    /** Lists everything; the contents become what is listed. */
    const list$ = (link: Link): Observable<PrefixState<T>> =>
      new Observable<PrefixState<T>>((subscriber) => {
        let listed = emptyContents<T>();
        return link
          .list$(range)
          .pipe(
            tap(({ entries, revision }) => {
              listed = addPage(listed, entries, revision, codec);
              if (contents === undefined)
                subscriber.next({ status: 'pending', attempt: failures, listed: listed.snapshot.size });
            }),
            ignoreElements(),
          )
          .subscribe({
            complete: () => {
              const before = contents;
              const fell = contents !== undefined && listed.position < contents.position;
              const resync = fell ? 'history-replaced' : listBecause;
              contents =
                contents === undefined
                  ? listed
                  : replaceContents(contents, listed, codec, resync === 'history-replaced');
              reportRejected(before, contents, onRejected);
              listBecause = undefined;
              staleSinceMs = undefined;
              subscriber.next(live(resync));
              subscriber.complete();
            },
            error: (error: unknown) => {
              subscriber.error(error);
            },
          });
      });

    /** Watches on from the contents. Completes when only a list, or a new position, can help. */
    const watch$ = (link: Link, prove: boolean): Observable<PrefixState<T>> =>
      defer(() => {
        const from = contents as PrefixContents<T>;
        // Asked at once, beside the watch: events are held back until the history is known to be the same.
        const proof$ = prove ? proveHistory$(link, range, from, codec) : of('same' as const);
        let held: (readonly WireEvent[])[] | undefined = [];
        let created = false;
        let same = false;
        const apply$ = (events: readonly WireEvent[]): Observable<PrefixState<T>> => {
          const before = contents;
          contents = applyEvents(contents as PrefixContents<T>, events, codec);
          reportRejected(before, contents, onRejected);
          return contents.snapshot === before?.snapshot && contents.rejected === before.rejected ? EMPTY : of(live());
        };
        const release$ = (): Observable<PrefixState<T>> => {
          if (!created || !same || held === undefined) return EMPTY;
          const backlog = held;
          held = undefined;
          const resumed = staleSinceMs !== undefined;
          proven();
          return concat(resumed ? of(live()) : EMPTY, ...backlog.map((events) => defer(() => apply$(events))));
        };
        return merge(
          proof$.pipe(
            concatMap((verdict) => {
              if (verdict !== 'same') return throwError(() => new NeedsList(verdict));
              same = true;
              return release$();
            }),
          ),
          link.watch$({ range, startRevision: from.position + 1 }).pipe(
            concatMap((message) => {
              if (message.type === 'created') {
                created = true;
                return release$();
              }
              if (held === undefined) return apply$(message.events);
              held.push(message.events);
              return EMPTY;
            }),
          ),
        );
      });

    /** Compacted while away. An unchanged prefix is known by its fingerprint, and need not be listed. */
    const skipCompacted$ = (link: Link): Observable<PrefixState<T>> =>
      link.fingerprint$(range).pipe(
        tap((answer) => {
          const from = contents as PrefixContents<T>;
          if (answer.revision >= from.position && fits(from, answer, codec))
            contents = { ...from, position: answer.revision };
          else listBecause = 'compacted';
        }),
        ignoreElements(),
      );

    const session$ = (link: Link): Observable<PrefixState<T>> => {
      // A list or a skip just made on this very connection needs no proof.
      let prove = contents !== undefined;
      return defer(() => {
        if (contents === undefined || listBecause !== undefined) prove = false;
        return concat(contents === undefined || listBecause !== undefined ? list$(link) : EMPTY, watch$(link, prove));
      }).pipe(
        catchError((error: unknown) => {
          if (error instanceof NeedsList) {
            listBecause = error.reason;
            return EMPTY;
          }
          // Not etcd's doing but a mistake in code: taken for weather, it would be silence for ever.
          if (!(error instanceof EtcdFault)) return throwError(() => error);
          const fault = error;
          const fatal = fatalError(fault);
          if (fatal !== undefined) return throwError(() => fatal);
          // The link is lost: its successor comes through link$, and the state with it. Should it not come, then
          // asking the same link again is better than silence for ever.
          if (fault.kind === 'link' || fault.kind === 'token') {
            return concat(
              timer(MAX_DELAY_MS, scheduler).pipe(ignoreElements()),
              defer(() => troubled$(fault)),
            );
          }
          if (fault.kind === 'compacted' && contents !== undefined && listBecause === undefined) {
            prove = false;
            return skipCompacted$(link).pipe(
              catchError(() =>
                of(undefined).pipe(
                  tap(() => (listBecause = 'compacted')),
                  ignoreElements(),
                ),
              ),
            );
          }
          return concat(
            troubled$(fault),
            defer(() => timer(backoffDelayMs(failures, random), scheduler).pipe(ignoreElements())),
          );
        }),
        repeat(),
      );
    };

    return connection.link$.pipe(
      switchMap((state) => (state.status === 'up' ? session$(state.link) : troubled$(state.cause))),
      startWith<PrefixState<T>>({ status: 'pending', attempt: 0, listed: 0 }),
    );
  });
}

function reportRejected<T>(
  before: PrefixContents<T> | undefined,
  after: PrefixContents<T>,
  onRejected: WatchPrefixOptions<T>['onRejected'],
): void {
  if (onRejected === undefined || before?.rejected === after.rejected) return;
  Snapshot.diff(before?.rejected ?? Snapshot.of<RxEtcdError>([]), after.rejected, (key, _, now) => {
    if (now === undefined) return;
    try {
      onRejected(now.value, key);
    } catch (error) {
      // As RxJS does with an observer that throws: the stream goes on.
      throwError(() => error).subscribe();
    }
  });
}

class NeedsList extends Error {
  readonly reason: ResyncReason;
  constructor(reason: ResyncReason) {
    super(reason);
    this.reason = reason;
  }
}

/** Whether the history the contents come from is still the server's, by one small linearizable read. */
function proveHistory$<T>(
  link: Link,
  range: KeyRange,
  contents: PrefixContents<T>,
  codec: Codec<T>,
): Observable<'same' | ResyncReason> {
  return link.fingerprint$(range, contents.position).pipe(
    map((answer) => (fits(contents, answer, codec) ? 'same' : 'history-replaced')),
    catchError((error: unknown) => {
      switch (toFault(error).kind) {
        case 'future-revision':
          return of('history-replaced' as const);
        default:
          return throwError(() => error);
      }
    }),
  );
}
