import { defer, filter, type MonoTypeOperatorFunction } from 'rxjs';
import { functionArgument, optionsArgument } from '../arguments.ts';
import { forEachDifference } from '../discovery/differences.ts';
import type { PrefixState, RejectedKeys } from '../discovery/prefix-state.ts';
import {
  isState,
  resyncOf,
  snapshotIn,
  stateOrSnapshot,
  statusOf,
  unchanging,
  type StateOrSnapshot,
} from './state-or-snapshot.ts';

/** What {@link distinctSnapshots} takes for the same. */
export interface DistinctSnapshotsOptions {
  /**
   * Whether two values of a key count as the same. Default: `Object.is`, which suits text; for decoded
   * objects take `isDeepStrictEqual` of `node:util`, or compare what matters.
   */
  readonly equals?: (a: never, b: never) => boolean;
}

/**
 * Leaves out what says nothing new: a snapshot with the same keys and values as the one before.
 *
 * ```text
 * source                 {a:1}-{a:1}-{a:2}-{a:2,b:1}-{a:2,b:1}-|
 * distinctSnapshots()    {a:1}-------{a:2}-{a:2,b:1}-----------|
 * ```
 *
 * A host that registers again with the same value makes a new snapshot at a new revision, and is left out
 * here. Of states, the status and the rejected keys are compared too; a further failed attempt alone is
 * left out, and a state that tells of a resync never is. Takes states or snapshots and gives the same.
 * Between snapshots of one prefix the comparison costs what differs; any other Map costs its size.
 *
 * Cold. Errors and completion of the source pass through.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { distinctSnapshots } from 'rx-etcd';
 *
 * of(new Map([['a', 1]]), new Map([['a', 1]]), new Map([['a', 2]]))
 *   .pipe(distinctSnapshots())
 *   .subscribe((hosts) => console.log(hosts.get('a'))); // 1, 2
 * ```
 */
export function distinctSnapshots<K extends StateOrSnapshot<unknown>>(
  options?: DistinctSnapshotsOptions,
): MonoTypeOperatorFunction<K> {
  const { equals = Object.is } = optionsArgument('options', options, { equals: true });
  functionArgument('options.equals', equals);
  return (source) =>
    defer(() => {
      let before: StateOrSnapshot<unknown> | undefined;
      return source.pipe(
        filter((known) => {
          stateOrSnapshot('distinctSnapshots', known);
          if (before !== undefined && isSame(before, known, equals as Equals)) return false;
          before = isState(known) ? known : unchanging(known);
          return true;
        }),
      );
    });
}

type Equals = (a: unknown, b: unknown) => boolean;

function isSame(before: StateOrSnapshot<unknown>, known: StateOrSnapshot<unknown>, equals: Equals): boolean {
  if (statusOf(before) !== statusOf(known) || resyncOf(known) !== undefined) return false;
  const [a, b] = [snapshotIn(before), snapshotIn(known)];
  if (a === undefined || b === undefined) return a === b;
  return sameKeys(rejectedIn(before), rejectedIn(known)) && sameEntries(a, b, equals);
}

function sameEntries(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>, equals: Equals): boolean {
  if (a.size !== b.size) return false;
  let same = true;
  forEachDifference(a, b, (_key, before, after) => {
    same &&= before !== undefined && after !== undefined && equals(before.value, after.value);
  });
  return same;
}

function sameKeys(a: RejectedKeys | undefined, b: RejectedKeys | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.size !== b.size) return false;
  let same = true;
  forEachDifference(a, b, (_key, before, after) => {
    same &&= before !== undefined && after !== undefined;
  });
  return same;
}

function rejectedIn(known: StateOrSnapshot<unknown>): RejectedKeys | undefined {
  return (known as Partial<Extract<PrefixState<unknown>, { status: 'live' }>>).rejected;
}
