import { asyncScheduler, type MonoTypeOperatorFunction, type SchedulerLike } from 'rxjs';
import { optionsArgument, schedulerArgument } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';
import { durationMs } from '../time/durations.ts';
import { retainRemoved } from './retain-removed.ts';
import type { StateOrSnapshot } from './state-or-snapshot.ts';

/** What {@link protectEmpty} holds back, and in what time. */
export interface ProtectEmptyOptions {
  /**
   * The share of the hosts, from 0 and below 1, that has to remain: with fewer, those that vanished are shown
   * again. Default: 0, only when none is left.
   */
  readonly floor?: number;
  /** The clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Doubts that all hosts vanish at once: shows them for `ms` more, which is time to come back.
 *
 * ```text
 * source             {a,b}-{b}-{}----------{c}-----|
 * protectEmpty(6)    {a,b}-{b}-{a,b}-{b}-{}{c}-----|
 * ```
 *
 * As long as enough hosts remain it changes nothing. When none is left, or fewer than `floor` says, those
 * that vanished within the last `ms` are shown beside those that remain: etcd ends the leases of a cut-off
 * data centre one by one, so what belongs together need not vanish together. It always ends by itself: each
 * host `ms` after it vanished, whatever the source does, and all at once when enough hosts are back. Empty
 * from the start passes as empty.
 *
 * Takes states or snapshots and gives the same; a snapshot with entries shown again keeps the source's
 * `revision`. Completion and errors pass at once.
 *
 * Cold; each subscription remembers for itself. Throws `invalid-argument` for an `ms` or a `floor` out of
 * range. Unsubscribing ends the timer.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { protectEmpty, watchPrefix$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const hosts$ = watchPrefix$(etcd, '/services/user/').pipe(protectEmpty(30_000, { floor: 0.5 }));
 * hosts$.subscribe((hosts) => console.log(hosts.size));
 * ```
 */
export function protectEmpty<K extends StateOrSnapshot<unknown>>(
  ms: number,
  options?: ProtectEmptyOptions,
): MonoTypeOperatorFunction<K> {
  const { floor = 0, scheduler = asyncScheduler } = optionsArgument('options', options, {
    floor: true,
    scheduler: true,
  });
  if (typeof floor !== 'number' || !(floor >= 0 && floor < 1))
    throw invalidArgument('options.floor', 'a number from 0 and below 1', floor);
  return retainRemoved<K>({
    operator: 'protectEmpty',
    ms: durationMs('ms', ms),
    scheduler: schedulerArgument('options.scheduler', scheduler),
    pauseWhileStale: false,
    shows: (remaining, retained) => remaining === 0 || remaining < floor * (remaining + retained),
  });
}
