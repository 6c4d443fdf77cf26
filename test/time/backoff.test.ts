import { expect, test } from 'vitest';
import { MAX_DELAY_MS, backoffDelayMs } from '../../src/time/backoff.ts';

test('the ceiling doubles from half a second up to the longest delay', () => {
  const ceilings = [0, 1, 2, 3, 4, 50].map((failures) => backoffDelayMs(failures, () => 1));
  expect(ceilings).toEqual([500, 500, 1000, MAX_DELAY_MS, MAX_DELAY_MS, MAX_DELAY_MS]);
});

test.each([NaN, -1, 2, '0.5', undefined])(
  'a source of randomness that gives %s is an error, not a delay of 0',
  (value) => {
    expect(() => backoffDelayMs(1, () => value as number)).toThrow(/^options\.random: expected a number in \[0, 1\)/);
  },
);

test('a source of randomness that throws is named, with what it threw as the cause', () => {
  const thrown = new Error('no entropy');
  const random = (): number => {
    throw thrown;
  };
  expect(() => backoffDelayMs(1, random)).toThrow(expect.objectContaining({ code: 'callback-failed', cause: thrown }));
});
