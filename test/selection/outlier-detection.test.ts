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

  it('refuses numbers that make no sense', () => {
    for (const options of [{ failures: 0 }, { baseMs: 0 }, { baseMs: 10, maxMs: 5 }]) {
      expect(() => checkOutlierDetection('options', options)).toThrow(RxEtcdError);
    }
  });
});
