import { concatMap, defer, from, type OperatorFunction } from 'rxjs';
import { functionArgument, isMap, optionsArgument } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';
import { forEachDifference } from './differences.ts';
import { Snapshot } from './snapshot.ts';

/** One difference between two snapshots. `previous` is the value before. */
export type Change<T> =
  | { readonly type: 'added'; readonly key: string; readonly value: T }
  | { readonly type: 'updated'; readonly key: string; readonly value: T; readonly previous: T }
  | { readonly type: 'removed'; readonly key: string; readonly previous: T };

/** What {@link changes} takes for a change. */
export interface ChangesOptions<T> {
  /**
   * Whether two values of a key count as the same, and so as no change. Default: `Object.is`, under which
   * a host registered again with the same text is no change.
   */
  readonly equals?: (a: T, b: T) => boolean;
}

/**
 * Snapshots as the changes between them: who came, who changed, who went.
 *
 * Cold; each subscription compares for itself. The first snapshot's entries are all `added`. The changes of
 * one snapshot are emitted synchronously, in key order. For the snapshots of `watchPrefix$` the cost follows
 * the difference, not the size; any other Map source costs its size each time. Errors and completion of the
 * source pass through.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { changes } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.7:80']]), new Map([['a', '10.0.0.9:80']]))
 *   .pipe(changes())
 *   .subscribe((change) => console.log(change.type, change.key)); // added a, updated a
 * ```
 */
export function changes<T>(options?: ChangesOptions<T>): OperatorFunction<ReadonlyMap<string, T>, Change<T>> {
  const { equals = Object.is } = optionsArgument('options', options, { equals: true });
  functionArgument('options.equals', equals);
  return (source) =>
    defer(() => {
      let known = Snapshot.of<T>([]);
      return source.pipe(
        concatMap((next) => {
          if (!isMap(next)) throw invalidArgument('the source of changes', 'Maps', next);
          const before = known;
          // A copy of any other Map: its owner may change it and emit it again.
          known = Snapshot.from(next);
          return from(changesBetween(before, known, equals));
        }),
      );
    });
}

function changesBetween<T>(before: Snapshot<T>, after: Snapshot<T>, equals: (a: T, b: T) => boolean): Change<T>[] {
  const list: Change<T>[] = [];
  forEachDifference(before, after, (key, old, now) => {
    if (old === undefined && now !== undefined) list.push({ type: 'added', key, value: now.value });
    else if (now === undefined && old !== undefined) list.push({ type: 'removed', key, previous: old.value });
    else if (now !== undefined && old !== undefined && !equals(old.value, now.value)) {
      list.push({ type: 'updated', key, value: now.value, previous: old.value });
    }
  });
  return list;
}
