import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import {
  checkOutlierDetection,
  type OutlierDetectionOptions,
  OutlierDetector,
} from '../../src/selection/outlier-detection.ts';
import { hostsOf } from './support.ts';

const failed = { result: 'failed', latencyMs: 1, error: 'down' } as const;
const answered = { result: 'answered', latencyMs: 1 } as const;
const sixKeys = 'abcdef'.split('');

function detectorOf(options: OutlierDetectionOptions, ...keys: string[]) {
  const time = { ms: 1_000_000 };
  let changes = 0;
  const detector = new OutlierDetector(options, { now: () => time.ms }, () => changes++);
  detector.follow(hostsOf(...keys));
  const fail = (key: string, times: number): void => {
    for (let i = 0; i < times; i++) detector.learn(key, failed);
  };
  const outForMs = (key: string): number => {
    const from = time.ms;
    while (detector.isLeftOut(key)) time.ms += 100;
    return time.ms - from;
  };
  return { detector, time, fail, outForMs, changes: () => changes };
}

describe('OutlierDetector', () => {
  it('leaves a host out after failures in a row, not after as many with an answer between', () => {
    const { detector, fail } = detectorOf({ failures: 3 }, 'a', 'b');
    fail('a', 2);
    detector.learn('a', answered);
    fail('a', 2);
    expect(detector.isLeftOut('a')).toBe(false);
    fail('a', 1);
    expect(detector.isLeftOut('a')).toBe(true);
    expect(detector.isLeftOut('b')).toBe(false);
  });

  it('takes the first failure after the return, and doubles the time up to the bound', () => {
    const { detector, fail, outForMs } = detectorOf({ failures: 3, baseMs: 1000, maxMs: 5000 }, 'a', 'b');
    fail('a', 3);
    expect(detector.stateOf('a')).toEqual({
      status: 'ejected',
      reason: 'failures',
      cause: 'down',
      times: 1,
      forMs: 1000,
    });
    const times = [outForMs('a')];
    expect(detector.stateOf('a')).toEqual({
      status: 'probation',
      reason: 'failures',
      cause: 'down',
      times: 1,
      forMs: 1000,
    });
    for (let i = 0; i < 4; i++) {
      fail('a', 1);
      times.push(outForMs('a'));
    }
    expect(times).toEqual([1000, 2000, 4000, 5000, 5000]);
  });

  it('goes on doubling for a host that answers in between, until it was back for as long as it was out', () => {
    const { detector, time, fail, outForMs } = detectorOf({ failures: 2, baseMs: 1000 }, 'a', 'b');
    fail('a', 2);
    outForMs('a');
    detector.learn('a', answered);
    expect(detector.stateOf('a')).toEqual({ status: 'healthy' });
    fail('a', 1);
    expect(detector.isLeftOut('a')).toBe(false);
    fail('a', 1);
    expect(outForMs('a')).toBe(2000);
    time.ms += 2000;
    detector.learn('a', answered);
    fail('a', 2);
    expect(outForMs('a')).toBe(1000);
  });

  it('tries everyone when more than half would be out, and says so', () => {
    const { detector, fail } = detectorOf({ failures: 1 }, 'a', 'b', 'c', 'd');
    fail('a', 1);
    fail('b', 1);
    expect(['a', 'b', 'c'].map((key) => detector.isLeftOut(key))).toEqual([true, true, false]);
    fail('c', 1);
    expect(['a', 'b', 'c'].map((key) => detector.isLeftOut(key))).toEqual([false, false, false]);
    expect(detector.stateOf('a').status).toBe('panic');
    detector.learn('c', answered);
    expect(['a', 'b', 'c'].map((key) => detector.isLeftOut(key))).toEqual([true, true, false]);
  });

  it('never leaves out more than half, whatever happens', () => {
    const event = fc.record({
      kind: fc.constantFrom('fail', 'fail', 'fail', 'answer', 'wait', 'members'),
      key: fc.constantFrom(...sixKeys),
      members: fc.uniqueArray(fc.constantFrom(...sixKeys)),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const { detector, time } = detectorOf({ failures: 1 }, ...sixKeys);
        let members = sixKeys;
        for (const { kind, key, members: next } of events) {
          if (kind === 'fail') detector.learn(key, failed);
          else if (kind === 'answer') detector.learn(key, answered);
          else if (kind === 'wait') time.ms += 700;
          else detector.follow(hostsOf(...(members = next)));
          const out = members.filter((member) => detector.isLeftOut(member));
          const ejected = members.filter((member) => /ejected|panic/.test(detector.stateOf(member).status));
          expect(out.length).toBeLessThanOrEqual(members.length / 2);
          expect(out).toEqual(ejected.length <= members.length / 2 ? ejected : []);
          expect(detector.isIdle()).toBe(ejected.length === 0);
        }
      }),
    );
  });

  it('forgets a host that left, and hears nothing of it any more', () => {
    const { detector, fail } = detectorOf({ failures: 1 }, 'a', 'b', 'c');
    fail('a', 1);
    detector.follow(hostsOf('b', 'c'));
    fail('a', 1);
    detector.follow(hostsOf('a', 'b', 'c'));
    expect(detector.stateOf('a')).toEqual({ status: 'healthy' });
    expect(detector.isIdle()).toBe(true);
  });

  it('tells of changes once each, and when the next host returns', () => {
    const { detector, time, fail, changes } = detectorOf({ failures: 2 }, 'a', 'b', 'c');
    expect(detector.nextReturnMs()).toBeUndefined();
    fail('a', 5);
    expect(changes()).toBe(1);
    time.ms += 400;
    expect(detector.nextReturnMs()).toBe(600);
    detector.learn('a', answered);
    expect(changes()).toBe(2);
  });

  describe('in comparison', () => {
    const shares = (detector: OutlierDetector, rates: Record<string, number>, latencies: Record<string, number>) => {
      for (const [key, rate] of Object.entries(rates)) {
        for (let i = 0; i < 100; i++) {
          // Spread out, so that there are no three failures in a row.
          const isFailure = Math.floor((i + 1) * (1 - rate)) > Math.floor(i * (1 - rate));
          detector.learn(key, { ...(isFailure ? failed : answered), latencyMs: latencies[key] ?? 10 });
        }
      }
    };
    const well = { a: 1, b: 0.99, c: 1, d: 0.98, e: 1 };
    const ejectedIn = (rates: Record<string, number>, latencies = {}, options: OutlierDetectionOptions = {}) => {
      const { detector, time } = detectorOf(options, ...Object.keys(rates));
      shares(detector, rates, latencies);
      time.ms += 10_000;
      detector.learn('a', answered);
      return Object.keys(rates)
        .map((key) => [key, detector.stateOf(key)] as const)
        .flatMap(([key, state]) => (state.status === 'healthy' ? [] : [`${key} ${state.status} ${state.reason}`]));
    };

    it('ejects a host that fails much more often than the others, though never three times in a row', () => {
      expect(ejectedIn({ ...well, bad: 0.6 })).toEqual(['bad ejected success-rate']);
    });

    it('ejects a host that is much slower than the others', () => {
      expect(ejectedIn({ ...well, slow: 1 }, { slow: 900 })).toEqual(['slow ejected slow']);
      // Far away, not ill.
      expect(ejectedIn({ ...well, far: 1 }, { far: 150 })).toEqual([]);
    });

    it('compares only with enough calls of enough hosts, and not when it is told not to', () => {
      expect(ejectedIn({ a: 1, b: 1, bad: 0.6 })).toEqual([]);
      expect(ejectedIn({ ...well, bad: 0.6 }, {}, { minCalls: 101 })).toEqual([]);
      expect(ejectedIn({ ...well, bad: 0.6 }, {}, { deviations: Infinity })).toEqual([]);
      expect(ejectedIn({ ...well, slow: 1 }, { slow: 900 }, { slowFactor: Infinity })).toEqual([]);
    });

    it('takes no single failure among thousands for an outlier', () => {
      expect(ejectedIn({ a: 1, b: 1, c: 1, d: 1, e: 1, f: 0.99 })).toEqual([]);
    });

    it('never ejects more than half of the hosts, whatever their rates and latencies', () => {
      const figure = fc.record({ rate: fc.double({ min: 0.5, max: 1, noNaN: true }), latencyMs: fc.nat(5000) });
      fc.assert(
        fc.property(fc.array(figure, { minLength: 5, maxLength: 12 }), (figures) => {
          const rates = Object.fromEntries(figures.map(({ rate }, i) => [i === 0 ? 'a' : `h${i}`, rate]));
          const latencies = Object.fromEntries(figures.map(({ latencyMs }, i) => [i === 0 ? 'a' : `h${i}`, latencyMs]));
          const { detector, time } = detectorOf({ failures: 1000 }, ...Object.keys(rates));
          shares(detector, rates, latencies);
          time.ms += 10_000;
          detector.learn('a', answered);
          const out = Object.keys(rates).filter((key) => detector.isLeftOut(key));
          expect(out.length).toBeLessThanOrEqual(figures.length / 2);
        }),
        { numRuns: 50 },
      );
    });

    it('does not compare what was counted before a long silence, and serves its time for what it ejects', () => {
      const { detector, time } = detectorOf({}, ...Object.keys(well), 'bad');
      shares(detector, { ...well, bad: 0.6 }, {});
      time.ms += 60_000;
      detector.learn('a', answered);
      expect(detector.isIdle()).toBe(true);
      shares(detector, { ...well, bad: 0.6 }, {});
      time.ms += 10_000;
      detector.learn('bad', answered);
      expect(detector.isLeftOut('bad')).toBe(true);
      detector.learn('bad', answered);
      expect(detector.isLeftOut('bad')).toBe(true);
      time.ms += 1000;
      expect(detector.stateOf('bad').status).toBe('probation');
      detector.learn('bad', answered);
      expect(detector.stateOf('bad').status).toBe('healthy');
    });
  });

  it('refuses numbers that make no sense', () => {
    for (const options of [{ failures: 0 }, { baseMs: 0 }, { baseMs: 10, maxMs: 5 }]) {
      expect(() => checkOutlierDetection('options', options)).toThrow(RxEtcdError);
    }
  });
});
