import * as fc from 'fast-check';
import { BehaviorSubject, map, of } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it, vi } from 'vitest';
import { Snapshot } from '../../src/discovery/snapshot.ts';
import { RxEtcdError } from '../../src/errors.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import type { Selector } from '../../src/selection/selector.ts';
import { hostsOf, keysOf, latest } from './support.ts';

const anyKeys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 12 });

describe('roundRobin', () => {
  it('gives one selector for each emission and ends as its source does', () => {
    new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(({ cold, expectObservable }) => {
      const source$ = cold('  -a-b-|', { a: hostsOf('x'), b: hostsOf('y') });
      const expected = '     -a-b-|';
      const picked$ = source$.pipe(
        roundRobin(),
        map((selector) => selector.pick()),
      );
      expectObservable(picked$).toBe(expected, { a: 'host x', b: 'host y' });
      expectObservable(cold<ReadonlyMap<string, string>>('-#').pipe(roundRobin())).toBe('-#');
    });
  });

  it('picks each of n unchanged hosts floor(k/n) or ceil(k/n) times in k picks, whatever comes before', () => {
    fc.assert(
      fc.property(
        anyKeys,
        fc.nat(50),
        fc.nat(50),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (keys, skipped, k, start) => {
          const selector = selectorOf(hostsOf(...keys), { random: () => start });
          for (let i = 0; i < skipped; i++) selector.pick();
          const counts = new Map(keys.map((key) => [`host ${key}`, 0]));
          for (let i = 0; i < k; i++) increment(counts, selector.pick() as string);
          for (const count of counts.values()) {
            expect(count).toBeGreaterThanOrEqual(Math.floor(k / keys.length));
            expect(count).toBeLessThanOrEqual(Math.ceil(k / keys.length));
          }
        },
      ),
    );
  });

  it('goes on after the key it picked last through any membership change', () => {
    const step = fc.record({
      keys: fc.uniqueArray(fc.constantFrom(...'abcdefgh'.split('')), { maxLength: 8 }),
      picks: fc.nat(10),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), fc.boolean(), (steps, ordered) => {
        const hosts$ = new BehaviorSubject<ReadonlyMap<string, string>>(new Map());
        let selector: Selector<string> | undefined;
        hosts$.pipe(roundRobin({ startAfter: '' })).subscribe((next) => (selector = next));
        let place = '';
        for (const { keys, picks: count } of steps) {
          hosts$.next(ordered ? Snapshot.of(hostsOf(...keys)) : hostsOf(...keys));
          const sorted = [...keys].sort();
          for (let i = 0; i < count; i++) {
            const expected = sorted.find((key) => key > place) ?? sorted[0];
            expect(selector?.pickEntry()?.[0]).toBe(expected);
            place = expected ?? place;
          }
        }
      }),
    );
  });

  it('does not favour the first host when the membership changes before every pick', () => {
    const hosts$ = new BehaviorSubject(hostsOf('a', 'b', 'c'));
    const picked: (string | undefined)[] = [];
    hosts$.pipe(roundRobin({ startAfter: 'c' })).subscribe((selector) => picked.push(selector.pick()));
    for (let i = 0; i < 5; i++) hosts$.next(i % 2 === 0 ? hostsOf('a', 'b', 'c', 'd') : hostsOf('a', 'b', 'c'));
    expect(picked).toEqual(['host a', 'host b', 'host c', 'host d', 'host a', 'host b']);
  });

  it('starts at each host equally often when not told where', () => {
    const hosts = hostsOf('a', 'b', 'c', 'd');
    const first = new Map<string, number>();
    for (let i = 0; i < 100; i++) increment(first, selectorOf(hosts, { random: () => i / 100 }).pick() as string);
    expect([...first.values()]).toEqual([25, 25, 25, 25]);
  });

  it('gives every subscription a rotation of its own', () => {
    const selectors$ = of(hostsOf('a', 'b')).pipe(roundRobin({ startAfter: '' }));
    const [one, two] = [latest(selectors$), latest(selectors$)];
    expect([one.pick(), two.pick(), one.pick(), two.pick()]).toEqual(['host a', 'host a', 'host b', 'host b']);
  });

  it('goes on with the hosts it was made with after it was replaced', () => {
    const hosts$ = new BehaviorSubject(hostsOf('a', 'b'));
    const selectors: Selector<string>[] = [];
    hosts$.pipe(roundRobin({ startAfter: '' })).subscribe((selector) => selectors.push(selector));
    hosts$.next(hostsOf('c'));
    expect([selectors[0]?.pick(), selectors[1]?.pick(), selectors[0]?.pick()]).toEqual(['host a', 'host c', 'host a']);
  });

  it('gives nothing when there is no host, and the first host when one comes', () => {
    const hosts$ = new BehaviorSubject<ReadonlyMap<string, string>>(new Map());
    const picked: (string | undefined)[] = [];
    hosts$.pipe(roundRobin()).subscribe((selector) => picked.push(selector.pick()));
    hosts$.next(hostsOf('a'));
    expect(picked).toEqual([undefined, 'host a']);
  });

  it('passes over what it shall avoid, and gives nothing when that is everyone', () => {
    const selector = selectorOf(hostsOf('a', 'b', 'c'), { startAfter: '' });
    const avoiding = (...keys: string[]) => selector.pickEntry(undefined, (key) => keys.includes(key))?.[0];
    expect([avoiding('a'), avoiding('c'), avoiding('b', 'c')]).toEqual(['b', 'a', 'a']);
    expect(avoiding('a', 'b', 'c')).toBeUndefined();
    expect(avoiding()).toBe('b');
  });

  it('asks a snapshot for one or two neighbours a pick and for nothing that grows with it', () => {
    const hosts = Snapshot.of(keysOf(1000).map((key) => [key, `host ${key}`]));
    const selector = selectorOf(hosts, { startAfter: 'k0997' });
    const asked: (string | undefined)[] = [];
    const walks = [vi.spyOn(hosts, 'keys'), vi.spyOn(hosts, 'entries'), vi.spyOn(hosts, 'forEach')];
    const entryAfter = hosts.entryAfter.bind(hosts);
    vi.spyOn(hosts, 'entryAfter').mockImplementation((key) => (asked.push(key), entryAfter(key)));
    for (let i = 0; i < 4; i++) selector.pick();
    expect(asked).toEqual(['k0997', 'k0998', 'k0999', undefined, 'k0000']);
    for (const walk of walks) expect(walk).not.toHaveBeenCalled();
  });

  it('refuses a start that is not a key', () => {
    expect(() => roundRobin({ startAfter: 3 as unknown as string })).toThrow(RxEtcdError);
  });
});

function selectorOf(hosts: ReadonlyMap<string, string>, options: Parameters<typeof roundRobin>[0]): Selector<string> {
  return latest(of(hosts).pipe(roundRobin(options)));
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
