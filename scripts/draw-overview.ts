// Draws docs/images/overview.svg, the picture in the README: npx tsx scripts/draw-overview.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const WIDTH = 880;
const LEFT = 150;
const RIGHT = 864;
/** The rows' middles. */
const ROWS = { register: 42, etcd: 104, a1: 132, a2: 164, watch: 250 } as const;
const HEIGHT = 292;
/** Of the monospaced text. */
const CHARACTER = 7.25;

const [ETCD_DIES, ETCD_RETURNS] = [44, 60];
const [A1_FROM, A1_TO] = [22, 93];
const [A2_FROM, A2_KILLED, A2_TO] = [32, 66, 79];

const style = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
  text { fill: #1f2328; text-anchor: middle; }
  .label { font-weight: 600; text-anchor: start; }
  .note { font-size: 11px; fill: #59636e; }
  .start { text-anchor: start; }
  .line, .end, .arrow { stroke: #59636e; stroke-width: 1.5; fill: none; }
  .arrow { fill: #59636e; stroke: none; }
  .unsure { stroke-dasharray: 3 4; }
  .guide { stroke: #d1d9e0; stroke-width: 1; }
  .value { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }
  .good { fill: #dafbe1; stroke: #1a7f37; stroke-width: 1.5; }
  .stale { fill: #fff8c5; stroke: #9a6700; stroke-width: 1.5; stroke-dasharray: 4 3; }
  .pending { fill: #f6f8fa; stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 1 3; }
  .panel { fill: #f6f8fa; stroke: #d1d9e0; }
  .down { fill: #ffebe9; }
  .key { fill: #54aeff; } .orphan { fill: #54aeff; opacity: 0.4; }
  .cross { stroke: #d1242f; stroke-width: 2; } .red { fill: #d1242f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .note { fill: #9198a1; } .red { fill: #f85149; }
    .line, .end { stroke: #9198a1; } .arrow { fill: #9198a1; } .guide { stroke: #3d444d; }
    .value { fill: #121d2f; stroke: #4493f8; } .good { fill: #12261e; stroke: #3fb950; }
    .stale { fill: #272115; stroke: #d29922; } .pending { fill: #151b23; stroke: #9198a1; }
    .panel { fill: #151b23; stroke: #3d444d; } .down { fill: #25171c; }
    .key { fill: #1f6feb; } .orphan { fill: #1f6feb; }
    .cross { stroke: #f85149; }
  }`;

const parts: string[] = [];

// Cause and effect: from a key's coming or going to what is told of it.
for (const time of [A1_FROM, A2_FROM, A2_TO, A1_TO]) line('guide', time, ROWS.a2 + 20, time, ROWS.watch - 12);

label('register$', ROWS.register);
axis(ROWS.register, 7, A1_TO, [ETCD_DIES, ETCD_RETURNS]);
note('subscribe', 7, ROWS.register - 18, 'start');
pill('pending', 'registering', 7, ROWS.register, 'from');
pill('good', 'registered', A1_FROM, ROWS.register, 'from');
pill('stale', 'suspended', ETCD_DIES + 1, ROWS.register, 'from');
pill('good', 'registered', ETCD_RETURNS + 1, ROWS.register, 'from');
note('same lease, same key', ETCD_RETURNS + 7, ROWS.register - 18);
line('end', A1_TO, ROWS.register - 10, A1_TO, ROWS.register + 10);
note('unsubscribe', A1_TO, ROWS.register - 18);

rect('panel', 0, ROWS.etcd - 26, 100, ROWS.a2 - ROWS.etcd + 50, 6);
rect('down', ETCD_DIES, ROWS.etcd - 25, ETCD_RETURNS - ETCD_DIES, ROWS.a2 - ROWS.etcd + 48, 0);
line('guide', A1_FROM + 2, ROWS.register + 12, A1_FROM + 2, ROWS.a1);
line('guide', A1_TO, ROWS.register + 12, A1_TO, ROWS.a1);
label('etcd', ROWS.etcd);
note('kill -9', ETCD_DIES + 4.6, ROWS.etcd - 8, 'red');
note('restart', ETCD_RETURNS + 4.6, ROWS.etcd - 8);
key('…/a1', ROWS.a1, A1_FROM, A1_TO, A1_TO);
key('…/a2', ROWS.a2, A2_FROM, A2_KILLED, A2_TO);
cross(A2_KILLED, ROWS.a2);
note('its process dies', A2_KILLED, ROWS.a2 - 12, 'red');
note('TTL', (A2_KILLED + A2_TO) / 2, ROWS.a2 + 18);

label('watchPrefix$', ROWS.watch);
axis(ROWS.watch, 1, 98, [ETCD_DIES, ETCD_RETURNS]);
note('subscribe', 1, ROWS.watch - 18, 'start');
pill('value', '{ }', 10, ROWS.watch);
pill('value', '{a1}', A1_FROM, ROWS.watch);
pill('value', '{a1 a2}', A2_FROM, ROWS.watch);
pill('value', '{a1}', A2_TO, ROWS.watch);
pill('value', '{ }', A1_TO, ROWS.watch);
note('known to be empty', 10, ROWS.watch + 30);
note('stale: the last snapshot stays', (ETCD_DIES + ETCD_RETURNS) / 2, ROWS.watch + 30);
note('gone after its TTL', A2_TO - 3, ROWS.watch + 30);
note('gone at once', A1_TO, ROWS.watch + 30);

const description =
  'register$ registers a1 and stays registered, under the same lease, while etcd is killed and restarted. ' +
  'watchPrefix$ emits an empty snapshot first, then one for each change, and keeps the last one while etcd is away. ' +
  'A host whose process dies is gone after its TTL; one that unsubscribes is gone at once.';
const folder = new URL('../docs/images/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(
  fileURLToPath(new URL('overview.svg', folder)),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" ` +
    `role="img" ` +
    `aria-label="${description}">\n<style>${style}\n</style>\n${parts.join('\n')}\n</svg>\n`,
);

/** The place of a time, 0 to 100. */
function at(time: number): number {
  return Math.round((LEFT + (time / 100) * (RIGHT - LEFT)) * 10) / 10;
}

function label(text: string, y: number): void {
  parts.push(`<text class="label" x="12" y="${y + 4}">${text}</text>`);
}

function note(text: string, time: number, y: number, extra = ''): void {
  parts.push(`<text class="note ${extra}" x="${at(time)}" y="${y}">${text}</text>`);
}

function line(kind: string, fromTime: number, fromY: number, toTime: number, toY: number): void {
  parts.push(`<line class="${kind}" x1="${at(fromTime)}" y1="${fromY}" x2="${at(toTime)}" y2="${toY}"/>`);
}

/** A line of time, dashed where nothing can be known. */
function axis(y: number, from: number, to: number, [gone, back]: readonly [number, number]): void {
  line('line', from, y, gone, y);
  line('line unsure', gone, y, back, y);
  line('line', back, y, to, y);
  if (to > 95) parts.push(`<path class="arrow" d="M${at(to)} ${y - 4} l8 4 l-8 4 z"/>`);
}

function pill(kind: string, text: string, time: number, y: number, align: 'middle' | 'from' = 'middle'): void {
  const width = Math.round(text.length * CHARACTER + 16);
  const x = align === 'from' ? at(time) : at(time) - width / 2;
  parts.push(
    `<rect class="${kind}" x="${x}" y="${y - 11}" width="${width}" height="22" rx="11"/>` +
      `<text x="${x + width / 2}" y="${y + 4}">${text}</text>`,
  );
}

function rect(kind: string, time: number, y: number, duration: number, height: number, radius: number): void {
  parts.push(
    `<rect class="${kind}" x="${at(time)}" y="${y}" width="${at(time + duration) - at(time)}" ` +
      `height="${height}" rx="${radius}"/>`,
  );
}

/** How long a key is in etcd: with its owner, and after it. */
function key(text: string, y: number, from: number, ownerTo: number, to: number): void {
  parts.push(`<text class="note" x="${at(from) - 22}" y="${y + 4}">${text}</text>`);
  rect('key', from, y - 4, ownerTo - from, 8, 4);
  if (to > ownerTo) rect('orphan', ownerTo, y - 4, to - ownerTo, 8, 4);
}

function cross(time: number, y: number): void {
  parts.push(`<path class="cross" d="M${at(time) - 5} ${y - 5} l10 10 m0 -10 l-10 10"/>`);
}
