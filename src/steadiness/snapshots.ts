import { distinctUntilChanged, filter, map, pipe, type OperatorFunction } from 'rxjs';
import type { PrefixState } from '../discovery/prefix-state.ts';
import type { Snapshot } from '../discovery/snapshot.ts';
import { stateOnly } from './state-or-snapshot.ts';

/**
 * Reduces states to their snapshots: what a selector takes.
 *
 * ```text
 * source         pending--live(a)--stale(a)--live(a)--live(b)--|
 * snapshots()    ---------a---------------------------b--------|
 * ```
 *
 * Nothing is emitted while nothing is known, or for a state whose snapshot is the same as before.
 *
 * Cold. Errors and completion of the source pass through.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { holdRemovals, snapshots, watchPrefixState$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefixState$(etcd, '/services/user/')
 *   .pipe(holdRemovals(5000), snapshots())
 *   .subscribe((hosts) => console.log([...hosts]));
 * ```
 */
export function snapshots<T>(): OperatorFunction<PrefixState<T>, Snapshot<T>> {
  return pipe(
    map((state: PrefixState<T>) => stateOnly('snapshots', state)),
    filter((state) => state.status !== 'pending'),
    map((state) => state.snapshot),
    distinctUntilChanged(),
  );
}
