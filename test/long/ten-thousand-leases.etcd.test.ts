import { afterEach, beforeEach, test } from 'vitest';
import { holdManyLeases } from '../registration/many-leases.ts';
import { startStage, type Stage } from '../registration/support.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await startStage();
});

afterEach(() => stage.stop());

test('ten thousand leases of one client, held for three TTLs: none lost, one connection, one stream of each kind', async () => {
  console.log(await holdManyLeases(stage, 10_000, 15, 3));
}, 240_000);
