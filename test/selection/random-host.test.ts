import { describe, expect, it } from 'vitest';
import { randomHost } from '../../src/selection/random-host.ts';
import { countPicks, hostsOf, keysOf, seededRandom, selecting } from './support.ts';

describe('randomHost', () => {
  it('picks every host with the same probability, also after hosts left and joined', () => {
    const subject = selecting(randomHost<string>({ random: seededRandom(7) }), hostsOf(...keysOf(20)));
    subject.selector.pick();
    subject.become(hostsOf(...keysOf(20).slice(7), 'new'));
    for (const count of countPicks(subject.selector, 14_000).values()) {
      // 1000 expected; five standard deviations.
      expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000));
    }
  });

  it('picks every host that is not avoided with the same probability, even when few are left', () => {
    const { selector } = selecting(randomHost<string>({ random: seededRandom(3) }), hostsOf(...keysOf(4)));
    const counts = new Map<string, number>();
    for (let i = 0; i < 4000; i++) {
      const key = selector.pickEntry(undefined, (other) => other < 'k0002')?.[0] as string;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['k0002', 'k0003']);
    expect(Math.abs((counts.get('k0002') as number) - 2000)).toBeLessThan(5 * Math.sqrt(1000));
  });
});
