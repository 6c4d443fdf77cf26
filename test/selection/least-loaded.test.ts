import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import type { CallOutcome } from '../../src/selection/selector.ts';
import { countPicks, hostsOf, keysOf, seededRandom, selecting } from './support.ts';

const answered: CallOutcome = { result: 'answered', latencyMs: 1 };

describe('leastLoaded', () => {
  it('of two hosts never picks the one with more calls in flight', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.nat(), (a, b, seed) => {
        const { selector } = selecting(leastLoaded<string>({ random: seededRandom(seed) }), hostsOf('a', 'b'));
        for (let i = 0; i < a; i++) selector.started('a');
        for (let i = 0; i < b; i++) selector.started('b');
        const key = selector.pickEntry()?.[0];
        if (a !== b) expect(key).toBe(a < b ? 'a' : 'b');
      }),
    );
  });

  it('keeps the busiest host near the average while calls come and stay', () => {
    const { selector } = selecting(leastLoaded<string>({ random: seededRandom(5) }), hostsOf(...keysOf(50)));
    const load = new Map<string, number>();
    for (let i = 0; i < 500; i++) {
      const [key] = selector.pickEntry() as readonly [string, string];
      selector.started(key);
      load.set(key, (load.get(key) ?? 0) + 1);
    }
    // 10 on average; choosing at random would reach about 18.
    expect(Math.max(...load.values())).toBeLessThanOrEqual(13);
  });

  it('gives an idle newcomer no more than the two looks in n that every host gets', () => {
    const subject = selecting(leastLoaded<string>({ random: seededRandom(9) }), hostsOf(...keysOf(9)));
    for (const key of keysOf(9)) for (let i = 0; i < 100; i++) subject.selector.started(key);
    subject.become(hostsOf(...keysOf(9), 'new'));
    // Never told of a call, so it stays the idlest: 2/10 of 5000, five standard deviations.
    const picked = countPicks(subject.selector, 5000).get('new') as number;
    expect(Math.abs(picked - 1000)).toBeLessThan(5 * Math.sqrt(800));
  });

  it('counts a call once, from its start to its end', () => {
    const { selector } = selecting(leastLoaded<string>(), hostsOf('a', 'b'));
    const [one, other] = [selector.started('a'), selector.started('b')];
    selector.started('b');
    other(answered);
    other(answered);
    one(answered);
    expect(selector.pickEntry()?.[0]).toBe('a');
  });

  it('still counts the calls in flight to a host that left and came back', () => {
    const subject = selecting(leastLoaded<string>(), hostsOf('a', 'b'));
    subject.selector.started('a');
    subject.become(hostsOf('b'));
    subject.selector.pick();
    subject.become(hostsOf('a', 'b'));
    expect(subject.selector.pickEntry()?.[0]).toBe('b');
  });
});
