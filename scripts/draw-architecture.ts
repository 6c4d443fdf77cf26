// Draws docs/images/architecture.svg, the picture in docs/architecture.md: npm run draw
import { writeFileSync } from 'node:fs';

type Box = readonly [x: number, y: number, width: number, height: number, name: string, what: string];

const WIDTH = 760;
const HEIGHT = 330;
const boxes: Readonly<Record<string, Box>> = {
  user: [20, 20, 720, 44, 'your program', 'Observables in, Observables out'],
  registration: [20, 110, 210, 60, 'registration/', 'a subscription is a lease'],
  discovery: [260, 200, 200, 60, 'discovery/', 'list, then watch: snapshots'],
  steadiness: [260, 110, 200, 60, 'steadiness/', 'fewer and safer snapshots'],
  selection: [490, 110, 250, 60, 'selection/', 'snapshots to selectors to a host'],
  etcd: [20, 290, 440, 34, 'etcd/', 'the wire, one connection a client'],
  below: [490, 226, 250, 50, 'time/  sorted-tree/  codecs/', 'clocks, timers; maps; bytes to values'],
};
const arrows: readonly (readonly [from: readonly [number, number], to: readonly [number, number]])[] = [
  // Discovery: from etcd up to the program.
  [
    [360, 290],
    [360, 262],
  ],
  [
    [330, 200],
    [330, 172],
  ],
  [
    [400, 110],
    [400, 66],
  ],
  [
    [462, 140],
    [488, 140],
  ],
  [
    [440, 200],
    [500, 172],
  ],
  [
    [620, 110],
    [620, 66],
  ],
  // Registration: from the program down to etcd.
  [
    [90, 64],
    [90, 108],
  ],
  [
    [90, 170],
    [90, 288],
  ],
  [
    [160, 108],
    [160, 66],
  ],
];

const style = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; }
  .name { font-weight: bold; } .what { font-size: 10px; fill: #59636e; }
  rect { fill: #f6f8fa; stroke: #d1d9e0; } path { stroke: #0969da; stroke-width: 1.5; marker-end: url(#head); }
  marker path { fill: #0969da; stroke: none; marker-end: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .what { fill: #9198a1; } rect { fill: #151b23; stroke: #3d444d; }
    path { stroke: #4493f8; } marker path { fill: #4493f8; }
  }`;
const drawnBoxes = Object.values(boxes).map(
  ([x, y, width, height, name, what]) =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>` +
    `<text class="name" x="${x + 10}" y="${y + 18}">${name}</text>` +
    `<text class="what" x="${x + (height < 40 ? 70 : 10)}" y="${y + (height < 40 ? 18 : 36)}">${what}</text>`,
);
const drawnArrows = arrows.map(([[x1, y1], [x2, y2]]) => `<path d="M${x1} ${y1}L${x2} ${y2}"/>`);
const label =
  'Rooms of src/. Data goes from etcd through discovery and steadiness to selection and the program, ' +
  'and from the program through registration to etcd.';
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}"
viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
<style>${style}</style>
<marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z"/></marker>
${drawnBoxes.join('\n')}
${drawnArrows.join('\n')}
</svg>
`;
const file = new URL('../docs/images/architecture.svg', import.meta.url);
writeFileSync(file, svg);
console.log(`${file.pathname} is drawn`);
