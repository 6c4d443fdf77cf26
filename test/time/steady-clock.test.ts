import fc from 'fast-check';
import { VirtualTimeScheduler, asyncScheduler } from 'rxjs';
import { expect, test } from 'vitest';
import { elapsedClock, steadyClock } from '../../src/time/steady-clock.ts';

/** Two clocks in the hand of the test. */
function clocks(): { wallMs: number; monotonicMs: number; readonly now: () => number } {
  const both = { wallMs: 1_700_000_000_000, monotonicMs: 500, now: (): number => 0 };
  both.now = elapsedClock(
    () => both.wallMs,
    () => both.monotonicMs,
  );
  return both;
}

test('a wall clock that is set back does not stop it', () => {
  const both = clocks();
  const startMs = both.now();
  both.wallMs -= 3_600_000;
  both.monotonicMs += 10;
  expect(both.now() - startMs).toBe(10);
  both.wallMs += 20;
  both.monotonicMs += 20;
  expect(both.now() - startMs).toBe(30);
});

test('the time that a machine slept is counted, though its monotonic clock stood still', () => {
  const both = clocks();
  const startMs = both.now();
  both.wallMs += 60_000;
  both.monotonicMs += 5;
  expect(both.now() - startMs).toBe(60_000);
  both.wallMs += 7;
  both.monotonicMs += 7;
  expect(both.now() - startMs).toBe(60_007);
});

test('rounding of the wall clock does not add up, however often it is read', () => {
  const both = clocks();
  const startMs = both.now();
  for (let step = 0; step < 10_000; step++) {
    both.monotonicMs += 0.25;
    both.wallMs = Math.floor(1_700_000_000_000 + both.monotonicMs - 500);
    both.now();
  }
  expect(both.now() - startMs).toBe(2500);
});

test('whatever the clocks do, it never goes back, and is never behind the monotonic one', () => {
  const step = fc.record({ wallMs: fc.integer({ min: -10_000, max: 10_000 }), monotonicMs: fc.nat(5000) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const both = clocks();
      const startMs = both.now();
      let passedMs = 0;
      for (const { wallMs, monotonicMs } of steps) {
        const beforeMs = both.now();
        both.wallMs += wallMs;
        both.monotonicMs += monotonicMs;
        passedMs += monotonicMs;
        expect(both.now()).toBeGreaterThanOrEqual(beforeMs);
        expect(both.now() - startMs).toBeGreaterThanOrEqual(passedMs);
      }
    }),
  );
});

test('a virtual scheduler is its own clock, the real one has a clock for the whole process', () => {
  const virtual = new VirtualTimeScheduler();
  virtual.frame = 7;
  expect(steadyClock(virtual)()).toBe(7);
  expect(steadyClock(asyncScheduler)).toBe(steadyClock(asyncScheduler));
});
