import { BehaviorSubject, type Observable, type OperatorFunction } from 'rxjs';
import type { Selector } from '../../src/selection/selector.ts';

export { seededRandom } from '../support/seeded-random.ts';

export const hostsOf = (...keys: string[]): ReadonlyMap<string, string> =>
  new Map(keys.map((key) => [key, `host ${key}`]));

/** `count` keys in ascending order. */
export const keysOf = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `k${String(i).padStart(4, '0')}`);

/** The selector of the moment over a membership that a test changes. */
export function selecting<T, S extends Selector<T>>(
  operator: OperatorFunction<ReadonlyMap<string, T>, S>,
  hosts: ReadonlyMap<string, T> = new Map(),
): { readonly selector: S; become(hosts: ReadonlyMap<string, T>): void } {
  const hosts$ = new BehaviorSubject(hosts);
  let selector: S | undefined;
  hosts$.pipe(operator).subscribe((next) => (selector = next));
  return {
    get selector() {
      return selector as S;
    },
    become: (next) => hosts$.next(next),
  };
}

/** How often each host key is picked in `picks` picks. */
export function countPicks(selector: Selector<unknown>, picks: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of selector.hosts.keys()) counts.set(key, 0);
  for (let i = 0; i < picks; i++) {
    const key = selector.pickEntry()?.[0];
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** The last value an observable gives synchronously. */
export function latest<V>(values$: Observable<V>): V {
  let value: V | undefined;
  values$.subscribe((next) => (value = next)).unsubscribe();
  return value as V;
}
