// Draws the marble diagrams of docs/steadiness.md and docs/watching.md: npx tsx scripts/draw-marbles.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { diagrams, type Diagram, type Row } from './marble-diagrams.ts';
import { watchDiagrams } from './watch-diagrams.ts';

const STEP = 24;
const LEFT = 84;
const ROW_HEIGHT = 56;
const BOX_HEIGHT = 38;
const VALUE_HEIGHT = 24;
const CHARACTER_WIDTH = 7.3;

const STYLE = `
  text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; text-anchor: middle; }
  .label { text-anchor: start; fill: #59636e; }
  .line, .end { stroke: #59636e; stroke-width: 1.5; fill: none; }
  .value { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }
  .stale { fill: #fff8c5; stroke: #9a6700; stroke-dasharray: 4 3; }
  .pending { fill: #f6f8fa; stroke: #818b98; stroke-dasharray: 1 3; }
  .error { stroke: #d1242f; stroke-width: 2; }
  .operator { fill: none; stroke: #818b98; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .label { fill: #9198a1; } .line, .end { stroke: #9198a1; }
    .value { fill: #121d2f; stroke: #4493f8; } .stale { fill: #272115; stroke: #d29922; }
    .pending { fill: #151b23; stroke: #9198a1; }
  }`;

/** A diagram as SVG: its inputs, the operator, its output. */
export function draw({ inputs, operator, output }: Diagram): string {
  const rows = [...inputs, output];
  const frames = Math.max(...rows.map(({ marbles }) => marbles.length));
  const width = LEFT + (frames + 2) * STEP;
  const height = rows.length * ROW_HEIGHT + BOX_HEIGHT + 16;
  const operatorY = inputs.length * ROW_HEIGHT + 8;
  const parts = [
    ...inputs.map((row, index) => drawRow(row, index * ROW_HEIGHT + ROW_HEIGHT / 2, width)),
    `<rect class="operator" x="4" y="${operatorY}" width="${width - 8}" height="${BOX_HEIGHT}" rx="4"/>`,
    `<text x="${width / 2}" y="${operatorY + BOX_HEIGHT / 2 + 4}">${escape(operator)}</text>`,
    drawRow(output, operatorY + BOX_HEIGHT + ROW_HEIGHT / 2, width),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      `role="img" aria-label="${escape(describe(rows, operator))}">`,
    `<style>${STYLE}\n</style>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function drawRow({ label, marbles, values }: Row, y: number, width: number): string {
  const last = marbles.search(/[|#]/);
  const end = last === -1 ? width - STEP / 2 : x(last);
  const parts = [
    `<text class="label" x="8" y="${y + 4}">${escape(label)}</text>`,
    `<line class="line" x1="${LEFT - STEP / 2}" y1="${y}" x2="${end}" y2="${y}"/>`,
  ];
  for (const { index: frame, 0: marks } of marbles.matchAll(/\([^)]*\)|./g)) {
    if (marks === '|')
      parts.push(`<line class="end" x1="${x(frame)}" y1="${y - 10}" x2="${x(frame)}" y2="${y + 10}"/>`);
    else if (marks === '#') parts.push(cross(x(frame), y));
    else if (marks !== '-') {
      // What comes in one instant stands one below the other.
      const all = Array.from(marks.replaceAll(/[()]/g, ''));
      for (const [at, mark] of all.entries()) {
        parts.push(drawValue(values[mark] ?? mark, x(frame), y + (at - (all.length - 1) / 2) * VALUE_HEIGHT));
      }
    }
  }
  return parts.join('\n');
}

function drawValue(value: string, atX: number, y: number): string {
  const [, status = '', text = ''] = /^(live|stale|pending)? ?(.*)$/.exec(value) ?? [];
  const shown = status === 'pending' ? '…' : text === '' ? '∅' : text;
  const width = Math.max(20, shown.length * CHARACTER_WIDTH + 10);
  return [
    `<rect class="value ${status}" x="${atX - width / 2}" y="${y - 11}" width="${width}" height="22" rx="11"/>`,
    `<text x="${atX}" y="${y + 4}">${escape(shown)}</text>`,
  ].join('');
}

function cross(atX: number, y: number): string {
  return `<path class="error" d="M${atX - 7} ${y - 7}l14 14m0 -14l-14 14"/>`;
}

function x(frame: number): number {
  return LEFT + frame * STEP;
}

function describe(rows: readonly Row[], operator: string): string {
  const [output, ...inputs] = [rows.at(-1), ...rows.slice(0, -1)];
  return `${inputs.map(describeRow).join('; ')}; ${operator} gives ${describeRow(output as Row)}`;
}

function describeRow({ label, marbles, values }: Row): string {
  const told = Array.from(marbles).flatMap((mark) =>
    '-()'.includes(mark) ? [] : [mark === '|' ? 'end' : mark === '#' ? 'error' : `{${values[mark] ?? mark}}`],
  );
  return `${label === '' ? '' : `${label}: `}${told.join(', ')}`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const directory = new URL('../docs/marbles/', import.meta.url);
  mkdirSync(directory, { recursive: true });
  for (const diagram of [...diagrams, ...watchDiagrams])
    writeFileSync(new URL(`${diagram.name}.svg`, directory), draw(diagram));
}
