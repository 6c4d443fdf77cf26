import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { picture } from './picture.ts';
import type { Results } from './row.ts';
import { sections, type SectionName } from './sections.ts';

const RESULTS = 'bench/results.json';
const PICTURE = 'docs/images/performance.svg';
const PAGES = ['README.md', 'docs/performance.md', 'docs/selection.md'];

/** The measured results that are in the repository. */
export function readResults(root: URL): Results {
  return JSON.parse(readFileSync(new URL(RESULTS, root), 'utf8')) as Results;
}

/** One measured thing a line, so that a difference of two runs can be read. */
export function writeResults(root: URL, results: Results): void {
  const parts = Object.entries(results).map(([name, part]: [string, object]) => {
    const [open, close] = Array.isArray(part) ? '[]' : '{}';
    const lines = Object.entries(part).map(
      ([key, value]) => `    ${Array.isArray(part) ? '' : `${JSON.stringify(key)}: `}${JSON.stringify(value)}`,
    );
    return `  ${JSON.stringify(name)}: ${open}\n${lines.join(',\n')}\n  ${close}`;
  });
  writeFileSync(new URL(RESULTS, root), `{\n${parts.join(',\n')}\n}\n`);
}

/** Every file that shows numbers, as the results make it: its path and its text. */
export async function report(root: URL, results: Results): Promise<Map<string, string>> {
  const texts = sections(results);
  const files = new Map([[PICTURE, picture(results.rows)]]);
  for (const path of PAGES) {
    const file = new URL(path, root);
    files.set(path, await formatted(fill(readFileSync(file, 'utf8'), texts), file));
  }
  return files;
}

export async function writeReport(root: URL, results: Results): Promise<void> {
  for (const [path, text] of await report(root, results)) writeFileSync(new URL(path, root), text);
}

/** Replaces what stands between `<!-- bench: name -->` and `<!-- /bench -->`. */
function fill(page: string, texts: Readonly<Record<SectionName, string>>): string {
  return page.replace(
    /(<!-- bench: (\S+) -->\n)[^]*?(<!-- \/bench -->)/g,
    (_, begin: string, name: SectionName, end: string) => `${begin}\n${texts[name]}\n\n${end}`,
  );
}

async function formatted(text: string, file: URL): Promise<string> {
  return format(text, { ...(await resolveConfig(file)), filepath: file.pathname });
}
