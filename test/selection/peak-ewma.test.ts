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

  it('sends few calls to a host that never answers, when the timeout is around the call', () => {
    // Went wrong: nothing was learned of a host without any answer, and it got half of the calls.
    const { subject, time } = selectingAt({}, 'well', 'silent');
    const counts = { well: 0, silent: 0 } as Record<string, number>;
    for (let i = 0; i < 1000; i++, time.ms += 20) {
      const key = subject.selector.pickEntry()?.[0] as string;
      counts[key] = (counts[key] as number) + 1;
      const outcome = key === 'well' ? { latencyMs: 10 } : { result: 'abandoned' as const, latencyMs: 200 };
      subject.selector.started(key)({ result: 'answered', ...outcome });
    }
    // The first one, and a probe after 1, 2, 4 and 8 s.
    expect(counts['silent']).toBeLessThanOrEqual(6);
    expect(counts['silent']).toBeGreaterThanOrEqual(3);
  });

  it('does not take a host for fast because callers gave up on it soon', () => {
    const { subject, answer } = selectingAt({}, 'well', 'unknown');
    answer('well', 100);
    subject.selector.started('unknown')({ result: 'abandoned', latencyMs: 1 });
    expect(countPicks(subject.selector, 1000).get('unknown')).toBeLessThan(600);
  });

  it('gives a host that failed once a call after a second, and its share as soon as it answers', () => {
    // Went wrong: one failure after 3 ms kept a host without calls for 45 s.
    const { subject, time, answer, picked } = selectingAt({}, 'a', 'b');
    answer('a', 10);
    answer('b', 10);
    subject.selector.started('a')({ result: 'failed', latencyMs: 3 });
    expect(countPicks(subject.selector, 100).get('a')).toBe(0);
    time.ms = 1000;
    expect(picked()).toBe('a');
    answer('a', 10);
    answer('b', 10);
    const share = countPicks(subject.selector, 1000).get('a') as number;
    expect(share).toBeGreaterThan(400);
  });

  it('has one probe at a time, and fewer the longer a host does not answer', () => {
    const { subject, time, answer } = selectingAt({}, 'well', 'broken');
    answer('well', 10);
    subject.selector.started('broken')({ result: 'failed', latencyMs: 1 });
    const probes: number[] = [];
    for (time.ms = 0; time.ms < 60_000; time.ms += 10) {
      const key = subject.selector.pickEntry()?.[0] as string;
      const ended = subject.selector.started(key);
      if (key === 'broken') {
        probes.push(time.ms);
        expect(subject.selector.pickEntry()?.[0]).toBe('well');
      }
      ended({ result: key === 'broken' ? 'failed' : 'answered', latencyMs: 10 });
    }
    const gaps = probes.slice(1).map((at, i) => at - (probes[i] as number));
    expect([probes[0], ...gaps]).toEqual([1000, 2000, 4000, 8000, 16_000, 16_000]);
  });

  it('refuses a decay that is not above 0', () => {
    expect(() => peakEwma({ decayMs: 0 })).toThrow(RxEtcdError);
    expect(() => peakEwma({ failureMs: -1 })).toThrow(RxEtcdError);
  });
});
