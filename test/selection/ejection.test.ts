import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { Ejection, type EjectionOptions } from '../../src/selection/ejection.ts';
import { hostsOf } from './support.ts';

const sixKeys = 'abcdef'.split('');

function ejectionOf(options: EjectionOptions, ...keys: string[]) {
  const time = { ms: 1_000_000 };
  let changes = 0;
  const ejection = new Ejection(options, { now: () => time.ms }, () => changes++);
  ejection.follow(hostsOf(...keys));
  const fail = (key: string, times: number): void => {
    for (let i = 0; i < times; i++) ejection.failed(key);
  };
  const outForMs = (key: string): number => {
    const from = time.ms;
    while (ejection.isLeftOut(key)) time.ms += 100;
    return time.ms - from;
  };
  return { ejection, time, fail, outForMs, changes: () => changes };
}

describe('Ejection', () => {
  it('leaves a host out after failures in a row, not after as many with an answer between', () => {
    const { ejection, fail } = ejectionOf({ failures: 3 }, 'a', 'b');
    fail('a', 2);
    ejection.answered('a');
    fail('a', 2);
    expect(ejection.isLeftOut('a')).toBe(false);
    fail('a', 1);
    expect(ejection.isLeftOut('a')).toBe(true);
    expect(ejection.isLeftOut('b')).toBe(false);
  });

  it('takes the first failure after the return, and doubles the time up to the bound', () => {
    const { ejection, fail, outForMs } = ejectionOf({ failures: 3, baseSeconds: 1, maxSeconds: 5 }, 'a', 'b');
    fail('a', 3);
    expect(ejection.stateOf('a')).toEqual({ status: 'ejected', times: 1, forMs: 1000 });
    const times = [outForMs('a')];
    expect(ejection.stateOf('a')).toEqual({ status: 'returning', times: 1, forMs: 1000 });
    for (let i = 0; i < 4; i++) {
      fail('a', 1);
      times.push(outForMs('a'));
    }
    expect(times).toEqual([1000, 2000, 4000, 5000, 5000]);
  });

  it('goes on doubling for a host that answers in between, until it was back for as long as it was out', () => {
    const { ejection, time, fail, outForMs } = ejectionOf({ failures: 2, baseSeconds: 1 }, 'a', 'b');
    fail('a', 2);
    outForMs('a');
    ejection.answered('a');
    expect(ejection.stateOf('a')).toEqual({ status: 'healthy' });
    fail('a', 1);
    expect(ejection.isLeftOut('a')).toBe(false);
    fail('a', 1);
    expect(outForMs('a')).toBe(2000);
    time.ms += 2000;
    ejection.answered('a');
    fail('a', 2);
    expect(outForMs('a')).toBe(1000);
  });

  it('tries everyone when more than half would be out, and says so', () => {
    const { ejection, fail } = ejectionOf({ failures: 1 }, 'a', 'b', 'c', 'd');
    fail('a', 1);
    fail('b', 1);
    expect(['a', 'b', 'c'].map((key) => ejection.isLeftOut(key))).toEqual([true, true, false]);
    fail('c', 1);
    expect(['a', 'b', 'c'].map((key) => ejection.isLeftOut(key))).toEqual([false, false, false]);
    expect(ejection.stateOf('a').status).toBe('overruled');
    ejection.answered('c');
    expect(['a', 'b', 'c'].map((key) => ejection.isLeftOut(key))).toEqual([true, true, false]);
  });

  it('never leaves out more than half, whatever happens', () => {
    const event = fc.record({
      kind: fc.constantFrom('fail', 'fail', 'fail', 'answer', 'wait', 'members'),
      key: fc.constantFrom(...sixKeys),
      members: fc.uniqueArray(fc.constantFrom(...sixKeys)),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const { ejection, time } = ejectionOf({ failures: 1 }, ...sixKeys);
        let members = sixKeys;
        for (const { kind, key, members: next } of events) {
          if (kind === 'fail') ejection.failed(key);
          else if (kind === 'answer') ejection.answered(key);
          else if (kind === 'wait') time.ms += 700;
          else ejection.follow(hostsOf(...(members = next)));
          const out = members.filter((member) => ejection.isLeftOut(member));
          const ejected = members.filter((member) => /ejected|overruled/.test(ejection.stateOf(member).status));
          expect(out.length).toBeLessThanOrEqual(members.length / 2);
          expect(out).toEqual(ejected.length <= members.length / 2 ? ejected : []);
          expect(ejection.isIdle()).toBe(ejected.length === 0);
        }
      }),
    );
  });

  it('forgets a host that left, and hears nothing of it any more', () => {
    const { ejection, fail } = ejectionOf({ failures: 1 }, 'a', 'b', 'c');
    fail('a', 1);
    ejection.follow(hostsOf('b', 'c'));
    fail('a', 1);
    ejection.follow(hostsOf('a', 'b', 'c'));
    expect(ejection.stateOf('a')).toEqual({ status: 'healthy' });
    expect(ejection.isIdle()).toBe(true);
  });

  it('tells of changes once each, and when the next host returns', () => {
    const { ejection, time, fail, changes } = ejectionOf({ failures: 2 }, 'a', 'b', 'c');
    expect(ejection.nextReturnMs()).toBeUndefined();
    fail('a', 5);
    expect(changes()).toBe(1);
    time.ms += 400;
    expect(ejection.nextReturnMs()).toBe(600);
    ejection.answered('a');
    expect(changes()).toBe(2);
  });

  it('refuses numbers that make no sense', () => {
    for (const options of [{ failures: 0 }, { baseSeconds: 0 }, { baseSeconds: 10, maxSeconds: 5 }]) {
      expect(() => ejectionOf(options)).toThrow(RxEtcdError);
    }
  });
});
