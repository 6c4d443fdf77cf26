import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/guarantees.md', root), 'utf8');
const named = [...page.matchAll(/^- `(test\/[^`]+)`: "(.+)"$/gm)].map(
  ([, file = '', title = '']) => [file, title] as const,
);

test('the page of guarantees names a test for every promise', () => {
  for (const section of page.split(/^### /m).slice(1)) {
    expect(section, section.slice(0, 20)).toMatch(/^- `test\//m);
  }
  expect(named.length).toBeGreaterThan(20);
});

test.each(named)('%s has the test "%s"', (file, title) => {
  const url = new URL(file, root);
  expect(existsSync(url)).toBe(true);
  expect(readFileSync(url, 'utf8')).toContain(title);
});
