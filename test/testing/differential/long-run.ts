/** `npx tsx test/testing/differential/long-run.ts 2000 [first seed]`: many seeds of the differential test. */
import { runSeeds } from './run-seeds.ts';

const count = Number(process.argv[2] ?? 2000);
const first = Number(process.argv[3] ?? 1);
const version = await runSeeds(first, count, 40);
process.stdout.write(`${count} seeds from ${first} on: the same answers and events as etcd ${version}\n`);
