import * as fc from 'fast-check';
import { Subject, map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import type { Snapshot } from '../../src/discovery/snapshot.ts';
import { RxEtcdError } from '../../src/errors.ts';
import { mergeSources$, type Sourced } from '../../src/steadiness/merge-sources.ts';
import { cause, live, marbles, pending, plain, snapshot, stale } from '../support/marbles.ts';

describe('mergeSources$', () => {
  it('waits until all are known, and then follows each', () => {
    marbles(({ cold, expectObservable }) => {
      const eu = cold('   --a-------b-|', { a: live('a'), b: live('b') });
      const us = cold('   -p---a---|', { p: pending(1), a: live('a') });
      const expected = '  -pp--a----b-|';
      const values = { p: 'pending', a: 'live eu:a us:a', b: 'live eu:b us:a' };
      expectObservable(mergeSources$({ eu, us }).pipe(map(shown))).toBe(expected, values);
    });
  });

  it('tells of each entry where it comes from, be the sources states or any Map', () => {
    const values: Sourced<string>[] = [];
    mergeSources$<string>({ eu: [live('a=1')], us: [plain('a=2')] }).subscribe((state) => {
      if (state.status === 'live') values.push(...state.snapshot.values());
    });
    expect(values).toEqual([
      { source: 'eu', key: 'a', value: '1' },
      { source: 'us', key: 'a', value: '2' },
    ]);
  });

  it('is stale while one is, since the first that was lost', () => {
    marbles(({ cold, expectObservable }) => {
      const eu = cold('   a--s-----a-', { a: live('a'), s: stale('a', 3) });
      const us = cold('   -a---t-a---', { a: live('b'), t: stale('b', 5, 2) });
      const expected = '  pa-s-s-s-a-';
      const merged = mergeSources$({ eu, us }).pipe(
        map((state) =>
          state.status === 'stale' ? [shown(state), state.sinceMs, state.attempt, state.cause] : shown(state),
        ),
      );
      expectObservable(merged).toBe(expected, {
        p: 'pending',
        a: 'live eu:a us:b',
        s: ['stale eu:a us:b', 3, 1, cause],
      });
    });
  });

  it('begins with a part when it may, and marks it stale', () => {
    marbles(({ cold, expectObservable }) => {
      const eu = cold('   --a-----', { a: live('a') });
      const us = cold('   -p---q-a', { p: pending(), q: pending(3), a: live('b') });
      const expected = '  -ps--t-a';
      const merged = mergeSources$({ eu, us }, { partial: true }).pipe(
        map((state) =>
          state.status === 'stale' ? [shown(state), state.sinceMs, state.attempt, state.cause] : shown(state),
        ),
      );
      const unknown = new RxEtcdError('stale', 'nothing is known yet of us');
      const values = {
        p: 'pending',
        s: ['stale eu:a', 0, 0, unknown],
        t: ['stale eu:a', 0, 3, cause],
        a: 'live eu:a us:b',
      };
      expectObservable(merged).toBe(expected, values);
    });
  });

  it('keeps rejected keys of all, the highest revision, and the reason of a resync', () => {
    const error = new RxEtcdError('decode-failed', 'x');
    const eu: PrefixState<string> = { status: 'live', snapshot: snapshot('a', 7), rejected: new Map([['x', error]]) };
    const us: PrefixState<string> = {
      status: 'live',
      snapshot: snapshot('a', 5),
      rejected: new Map(),
      resync: 'compacted',
    };
    const states: PrefixState<Sourced<string>>[] = [];
    mergeSources$({ eu: [eu], us: [us] }).subscribe((state) => states.push(state));
    expect(states.at(-1)).toMatchObject({ status: 'live', resync: 'compacted' });
    expect([...(states.at(-1) as Extract<PrefixState<Sourced<string>>, { status: 'live' }>).rejected]).toEqual([
      ['eu:x', error],
    ]);
    expect((states.at(-1) as { snapshot: Snapshot<unknown> }).snapshot.revision).toBe(7);
  });

  it('keeps an entry that did not change the very same', () => {
    const eu$ = new Subject<PrefixState<string>>();
    const seen: (Sourced<string> | undefined)[] = [];
    mergeSources$({ eu: eu$, us: [live('a')] }).subscribe((state) => {
      if (state.status === 'live') seen.push(state.snapshot.get('us:a'));
    });
    eu$.next(live('a'));
    eu$.next(live('a b'));
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(seen[1]);
  });

  it('holds exactly what its sources hold, after any changes', () => {
    const hosts = fc.uniqueArray(fc.constantFrom('a', 'b', 'c')).map((keys) => keys.join(' '));
    const step = fc.record({ source: fc.constantFrom<'eu' | 'us'>('eu', 'us'), hosts, asMap: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const sources = {
          eu: new Subject<PrefixState<string> | ReadonlyMap<string, string>>(),
          us: new Subject<ReadonlyMap<string, string>>(),
        };
        const model = { eu: '', us: '' };
        let merged = '';
        mergeSources$<string>(sources).subscribe((state) => (merged = shown(state)));
        sources.eu.next(plain(''));
        sources.us.next(plain(''));
        for (const { source, hosts, asMap } of steps) {
          sources[source].next(asMap ? plain(hosts) : snapshot(hosts));
          model[source] = hosts;
          const keys = (['eu', 'us'] as const).flatMap((name) =>
            model[name]
              .split(' ')
              .filter(Boolean)
              .map((key) => `${name}:${key}`),
          );
          expect(merged).toBe(`live ${keys.sort().join(' ')}`.trim());
        }
      }),
    );
  });

  it('errors with one of its sources', () => {
    marbles(({ cold, expectObservable }) => {
      expectObservable(
        mergeSources$({ eu: cold<PrefixState<string>>('---#'), us: cold<PrefixState<string>>('----') }),
      ).toBe('---#');
    });
  });

  it('refuses no sources, and a name with a colon', () => {
    expect(() => mergeSources$({})).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => mergeSources$({ 'a:b': [] })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

function shown(state: PrefixState<Sourced<string>>): string {
  return state.status === 'pending' ? 'pending' : `${state.status} ${[...state.snapshot.keys()].join(' ')}`.trim();
}
