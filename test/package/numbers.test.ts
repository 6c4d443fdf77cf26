import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readResults, report } from '../../bench/report/write-report.ts';

const root = new URL('../../', import.meta.url);
const files = await report(root, readResults(root));

// `npm run bench -- --report` writes them.
test.each([...files])('the numbers in %s are those of bench/results.json', (path, text) => {
  expect(readFileSync(new URL(path, root), 'utf8')).toBe(text);
});
