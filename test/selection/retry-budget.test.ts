import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { retryBudget } from '../../src/selection/retry-budget.ts';

describe('retryBudget', () => {
  it('allows, in any window, a part of the calls or so many a second, whichever is more', () => {
    const step = fc.record({ passMs: fc.nat(700), calls: fc.nat(20), retries: fc.nat(20) });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.constantFrom(0, 0.2, 1),
        fc.nat(3),
        (steps, ratio, perSecond) => {
          const time = { ms: 0 };
          const budget = retryBudget({ ratio, perSecond, windowMs: 5000, scheduler: { now: () => time.ms } });
          const calls: number[] = [];
          const retries: number[] = [];
          for (const { passMs, calls: called, retries: wanted } of steps) {
            time.ms += passMs;
            for (let i = 0; i < called; i++) {
              budget.called();
              calls.push(time.ms);
            }
            const inWindow = (times: number[]): number => times.filter((at) => at > time.ms - 5000).length;
            for (let i = 0; i < wanted; i++) if (budget.withdraw()) retries.push(time.ms);
            // Counted in slots of half a second: the last one is whole.
            expect(inWindow(retries.filter((at) => at > time.ms - 4500))).toBeLessThanOrEqual(
              Math.max(perSecond * 5, ratio * inWindow(calls)),
            );
          }
        },
      ),
    );
  });

  it('has something for the first calls, and is filled again as time passes', () => {
    const time = { ms: 0 };
    const budget = retryBudget({ perSecond: 1, windowMs: 2000, scheduler: { now: () => time.ms } });
    const took = (): boolean[] => [budget.withdraw(), budget.withdraw(), budget.withdraw()];
    expect(took()).toEqual([true, true, false]);
    time.ms = 1e12;
    expect(took()).toEqual([true, true, false]);
    time.ms = 0;
    expect(took()).toEqual([false, false, false]);
  });

  it('refuses numbers that make no sense', () => {
    for (const options of [{ ratio: -1 }, { perSecond: NaN }, { windowMs: 0 }]) {
      expect(() => retryBudget(options)).toThrow(RxEtcdError);
    }
  });
});
