import { readFile, writeFile } from 'node:fs/promises';

const BEGIN = '<!-- bench: written by `npm run bench` -->';
const END = '<!-- /bench -->';

/** Replaces what stands between the two marks of a file; a file without them is left as it is. */
export async function writeSection(file: string, text: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch(() => '');
  const from = before.indexOf(BEGIN);
  const to = before.indexOf(END);
  if (from === -1 || to === -1) return;
  await writeFile(file, `${before.slice(0, from + BEGIN.length)}\n\n${text}\n\n${before.slice(to)}`);
}
