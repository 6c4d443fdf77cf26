import { expect, test } from 'vitest';
import { houseFaults } from '../../scripts/house/faults.ts';

// `npm run house -- --all` shows what is left in the files of scripts/house/not-clean.ts, too.
test('lines, comments and words are as docs/style.md says', () => {
  expect(houseFaults()).toEqual([]);
});
