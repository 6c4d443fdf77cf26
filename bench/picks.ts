/**
 * What a pick costs, beside what people write: the values spread into an array, an index into it.
 *
 *   node --expose-gc --import tsx bench/picks.ts
 *
 * First with hosts that stay, then with one host coming or going before every pick. Each number is the time
 * of one pick in nanoseconds, in the best of several rounds, and the bytes allocated for one.
 */
import { type OperatorFunction, Subject } from 'rxjs';
import { Snapshot } from '../src/discovery/snapshot.ts';
import { consistentHash } from '../src/selection/consistent-hash.ts';
import { leastLoaded } from '../src/selection/least-loaded.ts';
import { peakEwma } from '../src/selection/peak-ewma.ts';
import { random } from '../src/selection/random.ts';
import { roundRobin } from '../src/selection/round-robin.ts';
import type { Selector } from '../src/selection/selector.ts';
import { sticky } from '../src/selection/sticky.ts';
import { weighted } from '../src/selection/weighted.ts';

type Hosts = ReadonlyMap<string, string>;
type Picker = (hosts: Hosts) => (affinity: string) => string | undefined;

const SIZES = [10, 100, 1000, 10_000];
const ROUNDS = 10;
const ROUND_MS = 20;

const subjects: Record<string, () => Picker> = {
  'spread, then index': () => {
    let turn = 0;
    return (hosts) => () => [...hosts.values()][turn++ % hosts.size];
  },
  'spread at each change': () => {
    let turn = 0;
    return (hosts) => {
      const values = [...hosts.values()];
      return () => values[turn++ % values.length];
    };
  },
  roundRobin: () => pickerOf(roundRobin()),
  random: () => pickerOf(random()),
  weighted: () => pickerOf(weighted((host) => 1 + (host.length % 3))),
  leastLoaded: () => pickerOf(leastLoaded()),
  peakEwma: () => pickerOf(peakEwma()),
  consistentHash: () => pickerOf(consistentHash()),
  sticky: () => pickerOf(sticky()),
};

table('Snapshot, hosts stay', (size) => steady(Snapshot.of(entriesOf(size))));
table('plain Map, hosts stay', (size) => steady(new Map(entriesOf(size))));
table('Snapshot, a change before every pick', (size) => {
  const full = Snapshot.of(entriesOf(size));
  const [gone] = [...full.keys()].slice(size >> 1);
  const less = Snapshot.change(full, [[gone ?? '', undefined]], 1);
  return (start) => {
    const next = start();
    let turn = 0;
    return () => next(turn++ % 2 === 0 ? less : full)('user 7');
  };
});

/** A pick from hosts that stay: what is done at a change is done before the clock runs. */
function steady(hosts: Hosts): (start: () => Picker) => () => unknown {
  return (start) => {
    const pick = start()(hosts);
    let turn = 0;
    return () => pick(`user ${turn++ & 255}`);
  };
}

function table(title: string, prepare: (size: number) => (start: () => Picker) => () => unknown): void {
  console.log(`\n${title}`);
  console.log(`${''.padEnd(22)}${SIZES.map((size) => `n = ${size}`.padStart(20)).join('')}`);
  const tasks = SIZES.map((size) => prepare(size));
  for (const [name, start] of Object.entries(subjects)) {
    const cells = tasks.map((task) => measure(task(start)));
    console.log(
      `${name.padEnd(22)}${cells.map(({ ns, bytes }) => `${ns.toFixed(0)} ns ${bytes.toFixed(0)} B`.padStart(20)).join('')}`,
    );
  }
}

function measure(once: () => unknown): { ns: number; bytes: number } {
  return { ns: Math.min(...Array.from({ length: ROUNDS }, () => timedNs(once))), bytes: allocated(once) };
}

function timedNs(once: () => unknown): number {
  const from = performance.now();
  let count = 0;
  let until = from;
  while (until - from < ROUND_MS) {
    for (let i = 0; i < 50; i++) once();
    count += 50;
    until = performance.now();
  }
  return ((until - from) * 1e6) / count;
}

/** The bytes of the heap that a pick uses: few enough picks that no collection comes between. */
function allocated(once: () => unknown): number {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 200; i++) once();
  return Math.max(0, process.memoryUsage().heapUsed - before) / 200;
}

function pickerOf(operator: OperatorFunction<Hosts, Selector<string>>): Picker {
  const hosts$ = new Subject<Hosts>();
  let selector: Selector<string> | undefined;
  hosts$.pipe(operator).subscribe((next) => (selector = next));
  return (hosts) => {
    hosts$.next(hosts);
    return (affinity) => selector?.pick(affinity);
  };
}

function entriesOf(size: number): [string, string][] {
  return Array.from({ length: size }, (_, i) => [
    `/services/user/${String(i).padStart(6, '0')}`,
    `10.0.${i >> 8}.${i & 255}:8080`,
  ]);
}
