/**
 * Draws docs/selection.svg: who gets the calls, with each selector, while hosts come and go.
 *
 *   node --import tsx scripts/draw-selection.ts
 *
 * A simulation with fixed random numbers, so the same picture each time.
 */
import { writeFileSync } from 'node:fs';
import { type OperatorFunction, pipe, Subject } from 'rxjs';
import { consistentHash } from '../src/selection/consistent-hash.ts';
import { leastLoaded } from '../src/selection/least-loaded.ts';
import { peakEwma } from '../src/selection/peak-ewma.ts';
import { randomHost } from '../src/selection/random-host.ts';
import { roundRobin } from '../src/selection/round-robin.ts';
import type { Selector } from '../src/selection/selector.ts';
import { slowStart } from '../src/selection/slow-start.ts';
import { sticky } from '../src/selection/sticky.ts';
import { weighted } from '../src/selection/weighted.ts';
import { seededRandom } from '../test/support/seeded-random.ts';

type Hosts = ReadonlyMap<string, string>;

// Six hosts of which c answers slowly; d leaves and comes back, g is new, and then f flaps.
const CALLS = 9000;
const BUCKETS = 90;
const D_LEAVES = 1500;
const D_RETURNS = 3000;
const G_JOINS = 4500;
const F_FLAPS = 6000;
const FLAP_EVERY = 4;
const SLOW_HOST = 'c';
const [QUICK_MS, SLOW_MS] = [20, 80];
const ALL = 'abcdefg'.split('');
const COLORS = ['#4e79a7', '#76b7b2', '#e15759', '#f28e2b', '#b07aa1', '#9c9c9c', '#59a14f'];

const time = { ms: 0 };
const clock = { now: () => time.ms };

const panels: readonly (readonly [title: string, operator: () => OperatorFunction<Hosts, Selector<string>>])[] = [
  ['by hand: index reset at each change', () => byIndex],
  ['roundRobin()', () => roundRobin({ random: seededRandom(1) })],
  ['randomHost()', () => randomHost({ random: seededRandom(2) })],
  ['weighted(…): a counts three times', () => weighted((_, key) => (key === 'a' ? 3 : 1), { random: seededRandom(3) })],
  ['leastLoaded()', () => leastLoaded({ random: seededRandom(4) })],
  ['peakEwma()', () => peakEwma({ random: seededRandom(5), scheduler: clock })],
  ['consistentHash(), 500 users', () => consistentHash()],
  ['sticky(), 500 sessions', () => sticky({ choose: randomHost({ random: seededRandom(6) }) })],
  [
    'roundRobin(), slowStart(1000)',
    () => pipe(roundRobin({ random: seededRandom(7) }), slowStart(1000, { scheduler: clock, random: seededRandom(9) })),
  ],
];

const drawn = panels.map(([title, operator]) => ({ title, counts: simulate(operator()) }));
const file = new URL('../docs/selection.svg', import.meta.url);
writeFileSync(file, svg(drawn));
console.log(`${file.pathname} is drawn`);

/** How many calls each host gets in each bucket of time: one call a millisecond. */
function simulate(operator: OperatorFunction<Hosts, Selector<string>>): number[][] {
  const users = seededRandom(8);
  const counts = Array.from({ length: BUCKETS }, () => ALL.map(() => 0));
  const ending = new Map<number, (() => void)[]>();
  const hosts$ = new Subject<Hosts>();
  let selector: Selector<string> | undefined;
  hosts$.pipe(operator).subscribe((next) => (selector = next));
  let members = '';
  for (time.ms = 0; time.ms < CALLS; time.ms++) {
    for (const end of ending.get(time.ms) ?? []) end();
    ending.delete(time.ms);
    const next = membersAt(time.ms);
    if (next.join('') !== members) {
      members = next.join('');
      hosts$.next(new Map(next.map((key) => [key, key])));
    }
    const key = selector?.pickEntry(`user ${Math.floor(users() * 500)}`)?.[0] ?? '';
    const bucket = counts[Math.floor((time.ms * BUCKETS) / CALLS)] ?? [];
    bucket[ALL.indexOf(key)] = (bucket[ALL.indexOf(key)] ?? 0) + 1;
    const latencyMs = key === SLOW_HOST ? SLOW_MS : QUICK_MS;
    const ended = selector?.started?.(key);
    const at = time.ms + latencyMs;
    ending.set(at, [...(ending.get(at) ?? []), () => ended?.({ result: 'answered', latencyMs })]);
  }
  return counts;
}

function membersAt(call: number): string[] {
  return ALL.filter((key) => {
    if (key === 'd') return call < D_LEAVES || call >= D_RETURNS;
    if (key === 'g') return call >= G_JOINS;
    if (key === 'f') return call < F_FLAPS || Math.floor(call / FLAP_EVERY) % 2 === 0;
    return true;
  });
}

/** What one writes first: the values in an array, and an index that each new array begins at 0. */
function byIndex(hosts$: Parameters<OperatorFunction<Hosts, Selector<string>>>[0]): Subject<Selector<string>> {
  const selectors$ = new Subject<Selector<string>>();
  hosts$.subscribe((hosts) => {
    const entries = [...hosts];
    let index = 0;
    const pickEntry = (): [string, string] | undefined => entries[index++ % entries.length];
    selectors$.next({ hosts, pick: () => pickEntry()?.[1], pickEntry });
  });
  return selectors$;
}

function svg(panels: readonly { readonly title: string; readonly counts: readonly (readonly number[])[] }[]): string {
  const [width, height, gap, top] = [315, 110, 24, 92];
  const rows = Math.ceil(panels.length / 3);
  const size = [3 * (width + gap) + gap, top + rows * (height + 50)] as const;
  const legend = ALL.map((key, i) => {
    const note = { c: ' (slow)', d: ' (leaves, returns)', f: ' (flaps at the end)', g: ' (joins)' }[key] ?? '';
    const x = gap + ([0, 40, 80, 156, 290, 330, 468][i] ?? 0);
    const square = `<rect x="${x}" y="38" width="12" height="12" fill="${COLORS[i]}"/>`;
    return `${square}<text x="${x + 17}" y="48">${key}${note}</text>`;
  });
  const charts = panels.map(({ title, counts }, i) => {
    const [x, y] = [gap + (i % 3) * (width + gap), top + Math.floor(i / 3) * (height + 50)];
    const chart = `<text y="-8" class="t">${title}</text>${bands(counts, width, height)}${marks(width, height)}`;
    return `<g transform="translate(${x} ${y})">${chart}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size[0]} ${size[1]}" font-family="sans-serif"
font-size="11" role="img" aria-label="Shares of calls by selector while hosts come and go">
<style>.t{font-weight:bold;font-size:12px}
.m{stroke:#222;stroke-dasharray:2 2;stroke-width:.7}.n{fill:#444;font-size:9px}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${gap}" y="22" font-size="14">
Who gets the calls while hosts come and go: time to the right, each band a host’s share</text>
${legend.join('\n')}
${charts.join('\n')}
</svg>
`;
}

/** One area a host: from where the bands above it end to where it ends, in steps, one a bucket. */
function bands(counts: readonly (readonly number[])[], width: number, height: number): string {
  const step = width / counts.length;
  const edge = (bucket: readonly number[], hosts: number): string => {
    const total = bucket.reduce((sum, count) => sum + count, 0);
    const above = bucket.slice(0, hosts).reduce((sum, count) => sum + count, 0);
    return ((above / total) * height).toFixed(0);
  };
  return ALL.map((_, host) => {
    const upper = counts.map((bucket, i) => `V${edge(bucket, host)}H${+((i + 1) * step).toFixed(1)}`);
    const lower = counts.map((bucket, i) => `V${edge(bucket, host + 1)}H${+(i * step).toFixed(1)}`).reverse();
    return `<path fill="${COLORS[host]}" d="M0 0${upper.join('')}${lower.join('')}z"/>`;
  }).join('');
}

function marks(width: number, height: number): string {
  const events = [
    [D_LEAVES, 'd leaves'],
    [D_RETURNS, 'd returns'],
    [G_JOINS, 'g joins'],
    [F_FLAPS, 'f flaps'],
  ] as const;
  return events
    .map(([call, what]) => {
      const x = ((call / CALLS) * width).toFixed(1);
      const line = `<path class="m" d="M${x} 0v${height + 3}"/>`;
      return `${line}<text class="n" x="${x}" y="${height + 13}" text-anchor="middle">${what}</text>`;
    })
    .join('');
}
