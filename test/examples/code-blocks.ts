import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../support/sandbox.ts';

/** A piece of TypeScript in a text for people. */
export interface CodeBlock {
  /** Where it stands: file and line. */
  readonly place: string;
  readonly code: string;
}

/** Every block fenced as `ts` in the README and the docs. */
export function markdownBlocks(): CodeBlock[] {
  const files = ['README.md', ...filesIn('docs', '.md')];
  return files.flatMap((file) => fenced(file, readFileSync(join(root, file), 'utf8')));
}

/** Every `@example` of the sources' doc comments. */
export function exampleBlocks(): CodeBlock[] {
  return filesIn('src', '.ts').flatMap((file) => {
    const source = readFileSync(join(root, file), 'utf8');
    // Only doc comments are kept, each line in its place.
    const comments = source.replaceAll(/\/\*\*[^]*?\*\/|[^\n]/g, (part) => (part.length > 1 ? part : ''));
    return fenced(file, comments.replaceAll(/^ *\* ?/gm, ''));
  });
}

/** How many `@example` tags there are: each needs its block. */
export function exampleTags(): number {
  return filesIn('src', '.ts').reduce(
    (count, file) => count + (readFileSync(join(root, file), 'utf8').match(/^ *\* @example$/gm) ?? []).length,
    0,
  );
}

/**
 * What a block says that it writes, in comments after `console.log(…)`: `// 7, 8` for two lines, `…` for any
 * text, `7 or 8` for either. `undefined` where it does not say, or only what it mostly is.
 */
export function promisedOutput({ code }: CodeBlock): RegExp | undefined {
  const promises = [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, comment]) => comment as string);
  if (promises.some((promise) => promise.startsWith('mostly '))) return undefined;
  if (promises.length === 0 || promises.length < (code.match(/console\.log\(/g) ?? []).length) return undefined;
  const patterns = promises.map((promise) =>
    promise
      .split(' or ')
      .map((either) => either.split('…').map(escaped).join('.*'))
      .join('|'),
  );
  return new RegExp(`^${patterns.map((pattern) => `(?:${pattern})`).join(', ')}$`);
}

function fenced(file: string, text: string): CodeBlock[] {
  return [...text.matchAll(/^ *```ts\n([^]*?)^ *```$/gm)].map((match) => ({
    place: `${file}:${text.slice(0, match.index).split('\n').length}`,
    code: match[1] as string,
  }));
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
