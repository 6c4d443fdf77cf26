import { parseArgs } from 'node:util';
import { runSeed } from './run-seed.ts';

// npm run oracle -- [--seeds 200] [--from 1] [--jobs 2]: stops with a non-zero code when a snapshot was wrong.
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
  },
});
const first = Number(values.from);
const count = Number(values.seeds);
let next = first;
let done = 0;
let snapshots = 0;
const failures: string[] = [];

const work = async (): Promise<void> => {
  while (next < first + count) {
    const seed = next++;
    try {
      // Not `snapshots += await …`: that reads the sum before the other jobs have added to it.
      const result = await runSeed(seed);
      snapshots += result.snapshots;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      console.error(failures.at(-1));
    }
    done += 1;
    if (done % 10 === 0) console.log(`${done} of ${count} seeds, ${snapshots} snapshots, ${failures.length} failed`);
  }
};

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
console.log(`${count} seeds, ${snapshots} snapshots compared, ${failures.length} seeds failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
