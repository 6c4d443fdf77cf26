import {
  Observable,
  Subscription,
  asyncScheduler,
  type MonoTypeOperatorFunction,
  type ObservableInput,
  type SchedulerLike,
} from 'rxjs';
import { isMap, optionsArgument, schedulerArgument, streamArgument$ } from '../arguments.ts';
import type { PrefixState } from '../discovery/prefix-state.ts';
import { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument, passingError, type PassingError } from '../errors.ts';
import { forward } from '../observers.ts';
import { durationMs } from '../time/durations.ts';
import { stateOnly } from './state-or-snapshot.ts';

/** What {@link withinStaleness} does when what is known is too old. */
export interface WithinStalenessOptions<T> {
  /**
   * What is shown instead, subscribed to each time when the bound is passed and left when etcd is back: a fixed
   * list, another cluster's snapshots. Without it the stream ends with an error.
   */
  readonly fallback?: ObservableInput<ReadonlyMap<string, T>>;
  /** The clock and timers; the same as the source's. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Bounds how old the snapshot may be: beyond `ms` it switches to a fallback, or errors.
 *
 * ```text
 * source                              live(a)-stale(a)----------live(b)--|
 * withinStaleness(4)                  live(a)-stale(a)---#
 * withinStaleness(4, { fallback })    live(a)-stale(a)---stale(f)-live(b)|
 * ```
 *
 * The age counts from a stale state's `sinceMs`, and from the subscription while nothing is known. Takes
 * states, because snapshots do not tell their age, and gives states: the fallback's snapshots come as
 * `stale`, with the source's `sinceMs`, `cause` and `attempt`. Until the fallback has given something, and
 * when it completes, what was shown stays. A live state of the source ends all of it at once.
 *
 * Errors: the notification `stale` when there is no fallback, with the last fault as `cause`; errors of the
 * source and of the fallback pass. Throws `invalid-argument` for an `ms` that is no duration.
 *
 * Cold. Unsubscribing ends the timer and the fallback.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { of } from 'rxjs';
 * import { snapshots, watchPrefixState$, withinStaleness } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const fixed = new Map([['fixed', '10.0.0.1:8080']]);
 * watchPrefixState$(etcd, '/services/user/')
 *   .pipe(withinStaleness(60_000, { fallback: of(fixed) }), snapshots())
 *   .subscribe((hosts) => console.log([...hosts]));
 * ```
 */
export function withinStaleness<T>(
  ms: number,
  options?: WithinStalenessOptions<T>,
): MonoTypeOperatorFunction<PrefixState<T>> {
  const boundMs = durationMs('ms', ms);
  const { fallback, scheduler = asyncScheduler } = optionsArgument('options', options, {
    fallback: true,
    scheduler: true,
  });
  schedulerArgument('options.scheduler', scheduler);
  const fallback$ = fallback === undefined ? undefined : streamArgument$('options.fallback', fallback);
  return (source) =>
    new Observable<PrefixState<T>>((subscriber) => {
      const startMs = scheduler.now();
      let latest: PrefixState<T> = { status: 'pending', attempt: 0, listed: 0 };
      let sinceMs: number | undefined;
      let timer = Subscription.EMPTY;
      let fallbackSubscription = Subscription.EMPTY;
      let instead: Snapshot<T> | undefined;

      const stop = (): void => {
        timer.unsubscribe();
        fallbackSubscription.unsubscribe();
        instead = undefined;
        sinceMs = undefined;
      };

      const tooOld = (): void => {
        if (fallback$ === undefined) {
          subscriber.error(tooOldError(latest, boundMs));
          return;
        }
        const forMs = sinceMs;
        const subscription = forward(
          fallback$,
          subscriber,
          (hosts) => {
            // The source can be live again by the time: what the fallback emits may have brought it back (re-entrancy).
            if (sinceMs !== forMs) return;
            if (!isMap(hosts)) throw invalidArgument('options.fallback', 'a stream of Maps', hosts);
            instead = Snapshot.from(hosts);
            emit();
          },
          () => undefined,
        );
        if (sinceMs === forMs) fallbackSubscription = subscription;
        else subscription.unsubscribe();
      };

      /** Starts the timer when the age counts from another moment than before; one in the future is now. */
      const countFrom = (fromMs: number): void => {
        if (fromMs === sinceMs) return;
        stop();
        sinceMs = fromMs;
        timer = scheduler.schedule(tooOld, Math.min(boundMs, Math.max(0, fromMs + boundMs - scheduler.now())));
      };

      const emit = (): void => {
        subscriber.next(instead === undefined ? latest : shownInstead(latest, instead, startMs, boundMs));
      };

      subscriber.add(stop);
      countFrom(startMs);
      forward(source, subscriber, (state) => {
        latest = stateOnly('withinStaleness', state);
        if (state.status === 'live') stop();
        else countFrom(state.status === 'stale' ? state.sinceMs : startMs);
        emit();
      });
    });
}

function shownInstead<T>(
  state: PrefixState<T>,
  snapshot: Snapshot<T>,
  startMs: number,
  boundMs: number,
): PrefixState<T> {
  switch (state.status) {
    case 'live':
      return state;
    case 'stale':
      return { ...state, snapshot };
    case 'pending':
      return {
        status: 'stale',
        snapshot,
        rejected: new Map(),
        sinceMs: startMs,
        cause: state.cause ?? tooOldError(state, boundMs),
        attempt: state.attempt,
      };
  }
}

function tooOldError(state: PrefixState<unknown>, boundMs: number): PassingError {
  const cause = state.status === 'live' ? undefined : state.cause;
  const what = state.status === 'pending' ? 'etcd has not answered' : 'contact with etcd has been lost';
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return passingError('stale', `${what} for longer than ${boundMs} ms${why}`, { cause });
}
