/** `npm run draw`: draws all pictures of the documents again, but for the benchmarks' (`npm run bench -- --report`). */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

for (const name of readdirSync(import.meta.dirname).filter((name) => /^draw-.*\.ts$/.test(name))) {
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', join(import.meta.dirname, name)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
