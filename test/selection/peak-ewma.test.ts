import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { peakEwma, type PeakEwmaOptions } from '../../src/selection/peak-ewma.ts';
import { countPicks, hostsOf, keysOf, seededRandom, selecting } from './support.ts';

function selectingAt(options: PeakEwmaOptions, ...keys: string[]) {
  const time = { ms: 0 };
  const subject = selecting(
    peakEwma<string>({ random: seededRandom(4), scheduler: { now: () => time.ms }, ...options }),
    hostsOf(...keys),
  );
  const answer = (key: string, latencyMs: number): void =>
    subject.selector.started(key)({ result: 'answered', latencyMs });
  const picked = (): string | undefined => subject.selector.pickEntry()?.[0];
  return { subject, time, answer, picked };
}

describe('peakEwma', () => {
  it('prefers the faster host, and weighs its calls in flight', () => {
    const { subject, answer, picked } = selectingAt({}, 'fast', 'slow');
    answer('fast', 10);
    answer('slow', 35);
    expect(picked()).toBe('fast');
    subject.selector.started('fast');
    subject.selector.started('fast');
    expect(picked()).toBe('fast');
    subject.selector.started('fast');
    expect(picked()).toBe('slow');
  });

  it('jumps up with one slow answer and comes down slowly with fast ones', () => {
    const { time, answer, picked } = selectingAt({ decayMs: 10_000 }, 'a', 'b');
    const everySecond = (seconds: number): void => {
      for (let i = 0; i < seconds; i++) {
        time.ms += 1000;
        answer('a', 10);
        answer('b', 100);
      }
    };
    everySecond(1);
    expect(picked()).toBe('a');
    answer('a', 2000);
    expect(picked()).toBe('b');
    everySecond(20);
    expect(picked()).toBe('b');
    everySecond(30);
    expect(picked()).toBe('a');
  });

  it('forgets a slow answer with time alone, so that the host is tried again', () => {
    const { time, answer, picked } = selectingAt({ decayMs: 10_000 }, 'a', 'b');
    answer('a', 3000);
    answer('b', 100);
    expect(picked()).toBe('b');
    time.ms += 40_000;
    answer('b', 100);
    expect(picked()).toBe('a');
  });

  it('is not drawn to a host that fails fast', () => {
    const { subject, answer, picked } = selectingAt({}, 'broken', 'slow');
    answer('slow', 900);
    subject.selector.started('broken')({ result: 'failed', latencyMs: 1 });
    expect(picked()).toBe('slow');
  });

  it('learns from a call given up only that it took longer', () => {
    const { subject, answer, picked } = selectingAt({}, 'a', 'b');
    answer('a', 50);
    answer('b', 60);
    subject.selector.started('b')({ result: 'abandoned', latencyMs: 1 });
    expect(picked()).toBe('a');
    subject.selector.started('a')({ result: 'abandoned', latencyMs: 500 });
    expect(picked()).toBe('b');
  });

  it('sends a newcomer no more calls for being unknown', () => {
    const { subject, answer } = selectingAt({}, ...keysOf(9));
    for (const key of keysOf(9)) answer(key, 500);
    subject.become(hostsOf(...keysOf(9), 'new'));
    // Compared by calls in flight alone, which are equal: 1/10 of 5000, five standard deviations.
    const idle = countPicks(subject.selector, 5000).get('new') as number;
    expect(Math.abs(idle - 500)).toBeLessThan(5 * Math.sqrt(450));
    subject.selector.started('new');
    expect(countPicks(subject.selector, 1000).get('new')).toBe(0);
  });

  it('forgets a host that left, and ignores answers that come after', () => {
    const { subject, answer, picked } = selectingAt({}, 'a', 'b');
    const late = subject.selector.started('a');
    answer('a', 9000);
    answer('b', 100);
    subject.become(hostsOf('b'));
    picked();
    late({ result: 'failed', latencyMs: 9000 });
    subject.become(hostsOf('a', 'b'));
    expect(new Set(Array.from({ length: 50 }, picked))).toEqual(new Set(['a', 'b']));
  });

  it('refuses a decay that is not above 0', () => {
    expect(() => peakEwma({ decayMs: 0 })).toThrow(RxEtcdError);
    expect(() => peakEwma({ failureMs: -1 })).toThrow(RxEtcdError);
  });
});
