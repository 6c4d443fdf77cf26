import { expect, test } from 'vitest';
import { eventually } from './eventually.ts';

test('it gives back the first truthy value, over errors and falsy ones', async () => {
  const answers: (() => number | undefined)[] = [
    () => undefined,
    () => {
      throw new Error('not yet');
    },
    () => 7,
  ];
  expect(await eventually(() => answers.shift()?.(), { everyMs: 1 })).toBe(7);
});

test('its failure says what was waited for and what was seen last', async () => {
  await expect(eventually(() => 0, { withinMs: 5, everyMs: 1, what: 'the sky' })).rejects.toThrow(
    'the sky did not come true within 5 ms; last value: 0',
  );
  const fails = (): never => {
    throw new Error('no clouds');
  };
  await expect(eventually(fails, { withinMs: 5, everyMs: 1 })).rejects.toThrow('last failure: no clouds');
});
