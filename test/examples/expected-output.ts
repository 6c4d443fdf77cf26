/**
 * The output that an example promises, in the comment that ends it:
 *
 *     // Output:
 *     //   a line
 *     //   a line of which … is not said
 *     //   …                               (any lines, or none)
 *
 * An example without it promises to write something.
 */
export function expectedOutput(source: string): RegExp {
  const [, comment] = /^\/\/ Output:\n((?:\/\/.*\n?)+)\s*$/m.exec(source) ?? [];
  if (comment === undefined) return /./;
  const lines = comment
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\/\/ {0,3}/, ''));
  return new RegExp(`^${lines.map(linePattern).join('')}$`);
}

function linePattern(line: string): string {
  return line === '…' ? '(?:.*\\n)*' : `${line.split('…').map(escaped).join('.*')}\\n`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
