import { combineLatest, from, map, type Observable, type ObservableInput, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';

/** Whether a host shall be among those to choose from. */
export type HostPredicate<T> = (host: T, key: string) => boolean;

/**
 * Leaves in the hosts for which a predicate holds.
 *
 * The predicate may change with time: given as an Observable of predicates, each new one is applied to the hosts of the
 * moment at once, and nothing is emitted before the first. So what is learned elsewhere (by health probes, say) can
 * decide who is chosen from.
 *
 * As cold as its source; one emission for each of the source's, and for each predicate. Each takes time in proportion to
 * the number of hosts. When all hosts pass, the source's own map is handed on. Errors of either, and what a predicate
 * throws, are errors of the result; with an Observable of predicates it completes when both have.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { where } from 'rx-etcd';
 *
 * of(new Map([['a', { version: 1 }], ['b', { version: 2 }]]))
 *   .pipe(where((host) => host.version >= 2))
 *   .subscribe((hosts) => console.log([...hosts.keys()])); // [ 'b' ]
 * ```
 */
export function where<T>(
  predicate: HostPredicate<T> | ObservableInput<HostPredicate<T>>,
): OperatorFunction<ReadonlyMap<string, T>, ReadonlyMap<string, T>> {
  if (typeof predicate === 'function') return map((hosts) => hostsWhere(hosts, predicate));
  const predicates$ = predicatesOf$(predicate);
  return (source) => combineLatest([source, predicates$]).pipe(map(([hosts, holds]) => hostsWhere(hosts, holds)));
}

/** The hosts for which `holds`, in their order; the same map when that is all of them. */
export function hostsWhere<T>(hosts: ReadonlyMap<string, T>, holds: HostPredicate<T>): ReadonlyMap<string, T> {
  if (typeof holds !== 'function') throw invalidArgument('predicate', 'an Observable of functions', holds);
  const left = new Map<string, T>();
  for (const [key, host] of hosts) {
    if (holds(host, key)) left.set(key, host);
  }
  return left.size === hosts.size ? hosts : left;
}

function predicatesOf$<T>(predicates$: ObservableInput<HostPredicate<T>>): Observable<HostPredicate<T>> {
  try {
    return from(predicates$);
  } catch {
    throw invalidArgument('predicate', 'a function or an Observable of functions', predicates$);
  }
}
