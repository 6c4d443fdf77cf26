// Ten thousand leases of one client, held for three TTLs: none lost, one connection, one stream of each kind.
import { holdManyLeases } from './many-leases.ts';
import { startStage } from './support.ts';

const stage = await startStage();
try {
  // eslint-disable-next-line no-console -- the numbers are what it is run for
  console.log(await holdManyLeases(stage, 10_000, 60, 3));
} finally {
  await stage.stop();
}
