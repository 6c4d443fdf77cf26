import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { pipe } from 'rxjs';
import { ejectOutliers, type EjectOutliersOptions } from '../../src/selection/eject-outliers.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import { countPicks, hostsOf, selecting } from './support.ts';

function ejecting(options: EjectOutliersOptions, ...keys: string[]) {
  const time = { ms: 0 };
  const eject = ejectOutliers<string>({ scheduler: { now: () => time.ms }, ...options });
  return { time, subject: selecting(pipe(roundRobin<string>({ startAfter: '' }), eject), hostsOf(...keys)) };
}

describe('ejectOutliers', () => {
  it('sends picks by hand past a dead host whose TTL is still running', () => {
    // Went wrong: a bare pick() had nobody to report to, and 450 of 1939 requests failed.
    const { time, subject } = ejecting({}, 'a', 'b', 'c', 'dead');
    let failed = 0;
    for (let i = 0; i < 2000; i++, time.ms += 5) {
      const key = subject.selector.pickEntry()?.[0] as string;
      const result = key === 'dead' ? 'failed' : 'answered';
      if (result === 'failed') failed++;
      subject.selector.report(key, { result });
    }
    // Three in a row, and one on each return, after 1, 2 and 4 s.
    expect(failed).toBeLessThanOrEqual(6);
  });

  it('gives an ejected host when there is no other that is not to be avoided', () => {
    const { subject } = ejecting({ failures: 1 }, 'a', 'b');
    subject.selector.report('a', { result: 'failed' });
    expect(subject.selector.pickEntry()?.[0]).toBe('b');
    expect(subject.selector.pickEntry(undefined, (key) => key === 'b')?.[0]).toBe('a');
    expect(subject.selector.pickEntry(undefined, () => true)).toBeUndefined();
  });

  it('says how each host stands and why, through changes of membership', () => {
    const { time, subject } = ejecting({ failures: 1 }, 'a', 'b');
    subject.selector.report('a', { result: 'failed', error: 'refused' });
    subject.become(hostsOf('a', 'b', 'c'));
    const ejected = { status: 'ejected', reason: 'failures', cause: 'refused', times: 1, forMs: 1000 };
    expect(subject.selector.states()).toEqual(
      new Map<string, unknown>([
        ['a', ejected],
        ['b', { status: 'healthy' }],
        ['c', { status: 'healthy' }],
      ]),
    );
    time.ms = 1000;
    expect(subject.selector.states().get('a')).toEqual({ ...ejected, status: 'probation' });
    expect(countPicks(subject.selector, 9).get('a')).toBe(3);
  });

  it('is told of calls by started as well, and tells the selector before it', () => {
    const subject = selecting(pipe(leastLoaded<string>(), ejectOutliers<string>({ failures: 1 })), hostsOf('a', 'b'));
    const ended = subject.selector.started('a');
    expect(subject.selector.pick()).toBe('host b');
    ended({ result: 'failed', latencyMs: 1 });
    ended({ result: 'failed', latencyMs: 1 });
    subject.selector.started('b');
    expect(subject.selector.pick()).toBe('host b');
    expect(subject.selector.states().get('a')).toMatchObject({ status: 'ejected', times: 1 });
  });

  it('ignores reports of a host that is not there', () => {
    const { subject } = ejecting({ failures: 1 }, 'a');
    subject.selector.report('x', { result: 'failed' });
    expect([...subject.selector.states().keys()]).toEqual(['a']);
  });

  it('refuses options that make no sense, by their names', () => {
    expect(() => ejectOutliers({ failures: 0 })).toThrow(RxEtcdError);
    expect(() => ejectOutliers({ failure: 1 } as EjectOutliersOptions)).toThrow(/options\.failure/);
  });
});
