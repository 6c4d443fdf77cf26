import { asyncScheduler, type MonoTypeOperatorFunction, type SchedulerLike } from 'rxjs';
import { optionsArgument, schedulerArgument } from '../arguments.ts';
import { durationMs } from '../time/durations.ts';
import { retainRemoved } from './retain-removed.ts';
import type { StateOrSnapshot } from './state-or-snapshot.ts';

/** How {@link holdRemovals} measures time. */
export interface HoldRemovalsOptions {
  /** The clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Shows a removal only after it has lasted: a host that registers again within `ms` was never away.
 *
 * ```text
 * source             {a,b}-{a}-----{a,b}-{a}------------|
 * holdRemovals(6)    {a,b}-{a,b}---{a,b}-{a,b}--{a}-----|
 * ```
 *
 * Additions and new values pass at once. A removed entry stays with its last value until it has been absent
 * for `ms`, each for itself. Time for which the source is stale does not count, so that nothing is removed
 * while etcd is away. Takes states or snapshots and gives the same; a snapshot that holds entries back keeps
 * the source's `revision`. Completion and errors pass at once.
 *
 * Cold; each subscription remembers for itself. Throws `invalid-argument` for an `ms` that is no duration.
 * Unsubscribing ends the timer.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { holdRemovals, watchPrefix$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefix$(etcd, '/services/user/').pipe(holdRemovals(5000)).subscribe((hosts) => console.log(hosts.size));
 * ```
 */
export function holdRemovals<K extends StateOrSnapshot<unknown>>(
  ms: number,
  options?: HoldRemovalsOptions,
): MonoTypeOperatorFunction<K> {
  const { scheduler = asyncScheduler } = optionsArgument('options', options, { scheduler: true });
  return retainRemoved<K>({
    operator: 'holdRemovals',
    ms: durationMs('ms', ms),
    scheduler: schedulerArgument('options.scheduler', scheduler),
    pauseWhileStale: true,
    shows: () => true,
  });
}
