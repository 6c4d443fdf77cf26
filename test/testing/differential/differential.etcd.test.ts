import { expect, test } from 'vitest';
import { runSeeds } from './run-seeds.ts';

test('random operations get the same answers, errors and watch events from memory as from a real etcd', async () => {
  expect(await runSeeds(1, 25, 40)).toMatch(/^3\./);
});
