import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { random } from '../../src/selection/random.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import type { Selector } from '../../src/selection/selector.ts';
import { slowStart } from '../../src/selection/slow-start.ts';
import { weighted } from '../../src/selection/weighted.ts';
import { countPicks, hostsOf, keysOf, seededRandom, selecting } from './support.ts';

const selectors = {
  roundRobin: () => roundRobin<string>({ random: seededRandom(1) }),
  random: () => random<string>({ random: seededRandom(1) }),
  leastLoaded: () => leastLoaded<string>({ random: seededRandom(1) }),
  weighted: () => weighted<string>(() => 3, { random: seededRandom(1) }),
};

describe('slowStart', () => {
  it.each(Object.entries(selectors))('lets a newcomer grow into its share of %s', (_name, select) => {
    const time = { ms: 0 };
    const warmUp = slowStart<string>(10, { clock: { now: () => time.ms } });
    const subject = selecting((hosts$) => hosts$.pipe(warmUp, select()), hostsOf(...keysOf(9)));
    subject.become(hostsOf(...keysOf(9), 'new'));
    const perThousand = (): number => (countPicks(subject.selector, 10_000).get('new') as number) / 10;
    // 100 in a thousand is its whole share.
    const begin = perThousand();
    time.ms = 5000;
    const middle = perThousand();
    time.ms = 10_000;
    const end = perThousand();
    expect(begin).toBeGreaterThan(5);
    expect(begin).toBeLessThan(16);
    expect(Math.abs(middle - 55)).toBeLessThan(12);
    expect(Math.abs(end - 100)).toBeLessThan(15);
  });

  it('takes the hosts of the first emission for old, and one that came back for new', () => {
    const subject = selecting(
      (hosts$) => hosts$.pipe(slowStart(10, { firstShare: 0, clock: { now: () => 0 } }), roundRobin()),
      hostsOf('a', 'b'),
    );
    expect(countPicks(subject.selector, 10).get('a')).toBe(5);
    subject.become(hostsOf('b'));
    subject.become(hostsOf('a', 'b'));
    expect(countPicks(subject.selector, 10).get('a')).toBe(0);
  });

  it('chooses from all when all are new', () => {
    const slow = slowStart<string>(10, { firstShare: 0, clock: { now: () => 0 } });
    const subject = selecting<string, Selector<string>>((hosts$) => hosts$.pipe(slow, roundRobin()));
    subject.become(hostsOf('a', 'b'));
    expect([...countPicks(subject.selector, 100).values()]).toEqual([50, 50]);
  });

  it('chooses a newcomer when every other host is to be avoided, and when most hosts are new', () => {
    const slow = slowStart<string>(10, { firstShare: 0, clock: { now: () => 0 } });
    const inTurn = roundRobin<string>({ startAfter: '' });
    const subject = selecting<string, Selector<string>>((hosts$) => hosts$.pipe(slow, inTurn), hostsOf('old'));
    subject.become(hostsOf('old', 'new'));
    expect(subject.selector.pickEntry(undefined, (key) => key === 'old')?.[0]).toBe('new');
    subject.become(hostsOf('old', ...keysOf(30)));
    const counts = countPicks(subject.selector, 3000);
    expect(Math.max(...counts.values())).toBeLessThan(600);
  });

  it("hands the source's own map on while nobody is new", () => {
    const hosts = hostsOf('a');
    const seen: unknown[] = [];
    of(hosts, hosts)
      .pipe(slowStart(10))
      .subscribe((next) => seen.push(next));
    expect(seen[0]).toBe(hosts);
    expect(seen[1]).toBe(hosts);
  });

  it('refuses bad numbers', () => {
    expect(() => slowStart(-1)).toThrow(RxEtcdError);
    expect(() => slowStart(1, { firstShare: 2 })).toThrow(RxEtcdError);
  });
});
