import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { commentsOf } from './comments.ts';
import { notClean } from './not-clean.ts';
import { words } from './words.ts';

const COLUMNS = 120;
const COMMENT_LINES = 2;
/** A file of this repository, as documents name it. */
const PATH = /`((?:src|test|bench|scripts|docs(?!\/api)|examples)\/[\w./-]+)`/g;
const FOLDERS = ['src', 'test', 'bench', 'scripts', 'examples', 'docs'];

/**
 * Where the files of this repository are not as docs/style.md says, in what no other tool checks: no line of code over
 * 120 columns, no comment of more than two lines inside a function, none of the words in words.ts in comments and
 * documents, and no file named in a document that is not there. Files that are not gone through yet are left out,
 * unless `all`.
 */
export function houseFaults(all = false): string[] {
  return (
    [...readdirSync('.'), ...FOLDERS.flatMap(contentOf)]
      .filter((file) => /\.(ts|mjs|js|md)$/.test(file) && !/\.build\/|^docs\/api\//.test(file))
      // The words themselves, and what was said in the past.
      .filter((file) => !/words\.ts$|^CHANGELOG\.md$/.test(file))
      .filter((file) => all || !notClean.some((prefix) => file.startsWith(prefix)))
      .sort()
      .flatMap((file) => faultsOf(file, readFileSync(file, 'utf8')))
  );
}

function contentOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file));
}

function faultsOf(file: string, text: string): string[] {
  const faults: string[] = [];
  const add = (line: number, what: string): unknown => faults.push(`${file}:${line}: ${what}`);
  if (file.endsWith('.md')) {
    // The titles of tests stand in the pages as they are.
    const prose = proseOf(text).map((line) => (line.startsWith('- `test/') ? '' : line));
    prose.forEach((line, index) => {
      for (const { word, instead } of words) {
        const found = word.exec(line)?.[0];
        if (found !== undefined) add(index + 1, `"${found}": ${instead}`);
      }
    });
    // Decisions and the changelog tell of files that are gone.
    if (!file.startsWith('docs/decisions/')) {
      text.split('\n').forEach((line, index) => {
        for (const [, path = ''] of line.matchAll(PATH)) if (!existsSync(path)) add(index + 1, `no such file: ${path}`);
      });
    }
    return faults;
  }
  text.split('\n').forEach((line, index) => {
    if (line.length > COLUMNS && !/https?:\/\/\S{60}/.test(line)) add(index + 1, `${line.length} columns`);
  });
  for (const comment of commentsOf(file, text)) {
    if (comment.insideFunction && comment.lines > COMMENT_LINES) {
      add(comment.line, `a comment of ${comment.lines} lines inside a function`);
    }
    for (const { word, instead } of words) {
      const found = word.exec(comment.text)?.[0];
      if (found !== undefined) add(comment.line, `"${found.trim()}": ${instead}`);
    }
  }
  return faults;
}

/** The lines of a page, with its code left empty. */
function proseOf(page: string): string[] {
  let inCode = false;
  return page.split('\n').map((line) => {
    if (/^\s*```/.test(line)) inCode = !inCode;
    return inCode ? '' : line.replace(/`[^`]*`/g, '``');
  });
}
