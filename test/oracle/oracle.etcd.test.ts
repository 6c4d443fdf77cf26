import { expect, test } from 'vitest';
import { runSeed } from './run-seed.ts';

// The long run is a command of its own: npm run oracle -- --seeds 200
test.each([1, 2, 3, 4, 5, 6])('every snapshot is what etcd held at its revision: seed %i', async (seed) => {
  const { snapshots } = await runSeed(seed, 10);
  expect(snapshots).toBeGreaterThan(0);
});
