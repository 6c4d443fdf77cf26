import { Observable, Subscription, asyncScheduler, type MonoTypeOperatorFunction, type SchedulerLike } from 'rxjs';
import { optionsArgument, schedulerArgument } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';
import { forward } from '../observers.ts';
import { LONGEST_TIMER_MS, durationMs } from '../time/durations.ts';
import {
  isState,
  resyncOf,
  snapshotIn,
  stateOrSnapshot,
  statusOf,
  withResync,
  type StateOrSnapshot,
} from './state-or-snapshot.ts';

/** How long {@link settle} may hold a snapshot. */
export interface SettleOptions {
  /** The longest that a change waits, however long the burst. At least `ms`. Default: ten times `ms`. */
  readonly maxDelayMs?: number;
  /** The clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Makes one snapshot of a burst: the latest, when there was no other for `ms`.
 *
 * ```text
 * source       a-----bcd-----------efghijklmnop----|
 * settle(3)    a----------d-----------------n----p-|   maxDelayMs: 9
 * ```
 *
 * The first snapshot passes at once, and so does everything but a further snapshot in the same status: that
 * contact was lost or is back is known without delay, with the latest snapshot. A change never waits
 * longer than `maxDelayMs`. The reason of a resync is carried over to the state that is emitted. Takes
 * states or snapshots and gives the same. When the source completes, what waits comes first; an error
 * passes at once, without it.
 *
 * Cold. Throws `invalid-argument` for durations out of range. Unsubscribing ends the timers.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { settle, watchPrefix$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefix$(etcd, '/services/user/').pipe(settle(100)).subscribe((hosts) => console.log(hosts.size));
 * ```
 */
export function settle<K extends StateOrSnapshot<unknown>>(
  ms: number,
  options?: SettleOptions,
): MonoTypeOperatorFunction<K> {
  const quietMs = durationMs('ms', ms);
  const { maxDelayMs = Math.min(10 * quietMs, LONGEST_TIMER_MS), scheduler = asyncScheduler } = optionsArgument(
    'options',
    options,
    { maxDelayMs: true, scheduler: true },
  );
  schedulerArgument('options.scheduler', scheduler);
  if (durationMs('options.maxDelayMs', maxDelayMs) < quietMs)
    throw invalidArgument('options.maxDelayMs', 'at least ms', maxDelayMs);
  return (source) =>
    new Observable<K>((subscriber) => {
      let shown: StateOrSnapshot<unknown> | undefined;
      let waiting: StateOrSnapshot<unknown> | undefined;
      let quiet = Subscription.EMPTY;
      let ceiling = Subscription.EMPTY;

      const stopTimers = (): void => {
        quiet.unsubscribe();
        ceiling.unsubscribe();
      };
      const show = (known: StateOrSnapshot<unknown>): void => {
        stopTimers();
        waiting = undefined;
        shown = known;
        subscriber.next(known as K);
      };
      const showWaiting = (): void => {
        if (waiting !== undefined) show(waiting);
      };

      subscriber.add(stopTimers);
      forward(
        source,
        subscriber,
        (known) => {
          stateOrSnapshot('settle', known);
          const next = waiting === undefined ? known : withResync(known, strongerResync(waiting, known));
          if (shown === undefined || !belongsToBurst(waiting ?? shown, known)) {
            show(next);
            return;
          }
          if (waiting === undefined) ceiling = scheduler.schedule(showWaiting, maxDelayMs);
          waiting = next;
          quiet.unsubscribe();
          quiet = scheduler.schedule(showWaiting, quietMs);
        },
        () => {
          showWaiting();
          subscriber.complete();
        },
      );
    });
}

/** Whether it brings nothing but another snapshot, which a Map changed in place can be as well. */
function belongsToBurst(before: StateOrSnapshot<unknown>, known: StateOrSnapshot<unknown>): boolean {
  return statusOf(before) === statusOf(known) && (!isState(known) || snapshotIn(before) !== snapshotIn(known));
}

function strongerResync(
  waiting: StateOrSnapshot<unknown>,
  known: StateOrSnapshot<unknown>,
): ReturnType<typeof resyncOf> {
  const reasons = [resyncOf(waiting), resyncOf(known)];
  return reasons.includes('history-replaced') ? 'history-replaced' : reasons.find((reason) => reason !== undefined);
}
