import fc from 'fast-check';
import { Subject, from } from 'rxjs';
import { expect, test } from 'vitest';
import { changes, type Change } from '../../src/discovery/changes.ts';
import { Snapshot } from '../../src/discovery/snapshot.ts';

function collect(sources: Iterable<ReadonlyMap<string, number>>): Change<number>[] {
  const list: Change<number>[] = [];
  from(sources)
    .pipe(changes())
    .subscribe((change) => list.push(change));
  return list;
}

test('a source that changes its one Map and emits it again is followed too', () => {
  const hosts = new Map([['a', 1]]);
  const hosts$ = new Subject<Map<string, number>>();
  const list: Change<number>[] = [];
  hosts$.pipe(changes()).subscribe((change) => list.push(change));
  hosts$.next(hosts);
  hosts.set('a', 2).set('b', 3);
  hosts$.next(hosts);
  hosts.delete('a');
  hosts$.next(hosts);
  expect(list).toEqual([
    { type: 'added', key: 'a', value: 1 },
    { type: 'updated', key: 'a', value: 2, previous: 1 },
    { type: 'added', key: 'b', value: 3 },
    { type: 'removed', key: 'a', previous: 2 },
  ]);
});

test('a change made while the changes of the snapshot before are still told comes after them', () => {
  const hosts$ = new Subject<ReadonlyMap<string, number>>();
  const seen: string[] = [];
  hosts$.pipe(changes()).subscribe((change) => {
    seen.push(`${change.type} ${change.key}`);
    if (change.key === 'a' && change.type === 'added') hosts$.next(new Map([['b', 1]]));
  });
  hosts$.next(
    new Map([
      ['a', 1],
      ['b', 1],
    ]),
  );
  expect(seen).toEqual(['added a', 'added b', 'removed a']);
});

test('the changes lead from each map to the next, in key order, whatever kind of map it is', () => {
  const entries = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', '\u{1F600}', '\uFF5E'), fc.nat(2)));
  fc.assert(
    fc.property(fc.array(fc.tuple(entries, fc.boolean())), (steps) => {
      const maps = steps.map(([list, plain]) => (plain ? new Map(list) : Snapshot.of(list)));
      const replayed = new Map<string, number>();
      for (const change of collect(maps)) {
        if (change.type === 'removed') {
          expect(replayed.get(change.key)).toBe(change.previous);
          replayed.delete(change.key);
        } else {
          expect(replayed.get(change.key)).toBe(change.type === 'added' ? undefined : change.previous);
          replayed.set(change.key, change.value);
        }
      }
      expect(replayed).toEqual(new Map(maps.at(-1) ?? []));
    }),
  );
});
