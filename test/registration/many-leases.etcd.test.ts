import { afterEach, beforeEach, test } from 'vitest';
import { holdManyLeases } from './many-leases.ts';
import { startStage, type Stage } from './support.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await startStage();
});

afterEach(() => stage.stop());

test('a thousand leases of one client, held for three TTLs: none lost, one connection, one stream of each kind', async () => {
  // A TTL that a busy machine cannot use up between two renewals.
  await holdManyLeases(stage, 1000, 12, 3);
});
