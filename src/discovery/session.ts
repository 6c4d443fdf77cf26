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
import { MAX_DELAY_MS, backoffDelayMs } from '../etcd/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { KeyRange, Link, WireEvent } from '../etcd/link.ts';
import type { Knowledge } from './knowledge.ts';
import { fits, newList, type PrefixContents } from './prefix-contents.ts';
import type { PrefixState } from './prefix-state.ts';

/**
 * Up to so many keys are compared one by one when the history is proven: that finds a restored history in which
 * another key was deleted. It costs about 60 bytes a key; thousands of clients come back at once.
 */
const PROOF_KEYS = 1000;

export interface SessionOptions<T> {
  readonly link: Link;
  readonly range: KeyRange;
  readonly knowledge: Knowledge<T>;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/**
 * A range followed over one link: listed if need be, then watched; and again, after a delay, when that fails for
 * a reason that does not speak against the link. Never completes; fails with what retrying cannot cure.
 */
export function session$<T>({
  link,
  range,
  knowledge,
  scheduler,
  random,
}: SessionOptions<T>): Observable<PrefixState<T>> {
  // A list, or a position, had on this very connection needs no proof.
  let prove = knowledge.contents !== undefined;
  let compactedAtMs = -Infinity;

  const once$ = defer(() => {
    if (knowledge.contents !== undefined) return watch$(link, range, knowledge, prove);
    prove = false;
    return concat(
      list$(link, range, knowledge),
      defer(() => watch$(link, range, knowledge, false)),
    );
  });

  const after$ = (error: unknown): Observable<PrefixState<T>> => {
    // Not etcd's doing but a mistake in code: taken for weather, it would be silence for ever.
    if (!(error instanceof EtcdFault)) return throwError(() => error);
    const fatal = fatalError(error);
    if (fatal !== undefined) return throwError(() => fatal);
    switch (error.kind) {
      case 'link':
      case 'token':
        // The link is lost: its successor comes through link$, and the state with it. Should it not come, then
        // asking the same link again is better than silence for ever.
        return concat(
          timer(MAX_DELAY_MS, scheduler).pipe(ignoreElements()),
          defer(() => knowledge.troubled$(error)),
        );
      case 'compacted':
        // While it lists, a compaction is a failure like any other: the next list may be in time.
        if (knowledge.contents === undefined) break;
        prove = false;
        // Again so soon: the store is compacted faster than one can ask. Without a pause, asking would not end.
        return concat(
          defer(() => {
            const soon = scheduler.now() - compactedAtMs < MAX_DELAY_MS;
            compactedAtMs = scheduler.now();
            return soon ? timer(backoffDelayMs(3, random), scheduler).pipe(ignoreElements()) : EMPTY;
          }),
          skipCompacted$(link, range, knowledge),
        );
      case 'future-revision':
        if (knowledge.contents === undefined) break;
        knowledge.needsList('history-replaced');
        return EMPTY;
      default:
    }
    return concat(
      knowledge.troubled$(error),
      defer(() => timer(backoffDelayMs(knowledge.failures, random), scheduler).pipe(ignoreElements())),
    );
  };

  return once$.pipe(catchError(after$), repeat());
}

/** Lists everything; then it is what is known. */
function list$<T>(link: Link, range: KeyRange, knowledge: Knowledge<T>): Observable<PrefixState<T>> {
  return new Observable<PrefixState<T>>((subscriber) => {
    const list = newList(knowledge.codec);
    return link.list$(range).subscribe({
      next: ({ entries, revision }) => {
        list.add(entries, revision);
        const state = knowledge.listing(list.size);
        if (state !== undefined) subscriber.next(state);
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
      complete: () => {
        subscriber.next(knowledge.listed(list.done()));
        subscriber.complete();
      },
    });
  });
}

/**
 * Watches on from what is known. With `prove`, the history is proven first to be the one it comes from: that is
 * asked beside the watch, and events are held back until it is answered. Completes when it is another one.
 */
function watch$<T>(link: Link, range: KeyRange, knowledge: Knowledge<T>, prove: boolean): Observable<PrefixState<T>> {
  return new Observable<PrefixState<T>>((subscriber) => {
    const from = knowledge.contents as PrefixContents<T>;
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
      emit(knowledge.proven());
      for (const events of backlog) {
        // Whoever unsubscribes has heard enough.
        if (!subscriber.closed) emit(knowledge.apply(events));
      }
    };
    const error = (reason: unknown): void => {
      subscriber.error(reason);
    };
    subscriber.add(
      link.watch$({ range, startRevision: from.position + 1, catchesUp: prove }).subscribe({
        next: (message) => {
          if (message.type === 'created') {
            created = true;
            release();
          } else if (held === undefined) emit(knowledge.apply(message.events));
          else held.push(message.events);
        },
        error,
      }),
    );
    if (!prove) return;
    subscriber.add(
      link.fingerprint$(range, from.position, PROOF_KEYS).subscribe({
        next: (answer) => {
          if (fits(from, answer, knowledge.codec)) {
            proven = true;
            release();
          } else {
            knowledge.needsList('history-replaced');
            subscriber.complete();
          }
        },
        error,
      }),
    );
  });
}

/** Looks whether the range is as it was although its history was compacted away. Completes in any case. */
function skipCompacted$<T>(link: Link, range: KeyRange, knowledge: Knowledge<T>): Observable<never> {
  return link.fingerprint$(range, undefined, PROOF_KEYS).pipe(
    tap((answer) => {
      knowledge.compacted(answer);
    }),
    catchError(() => {
      // The list that comes then meets the same trouble, and deals with it.
      knowledge.needsList('compacted');
      return EMPTY;
    }),
    ignoreElements(),
  );
}
