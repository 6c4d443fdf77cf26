/**
 * What a pick costs, beside what people write: the values spread into an array, an index into it.
 *
 * First with hosts that stay, then with one host coming or going before every pick.
 */
import { type OperatorFunction, Subject } from 'rxjs';
import { Snapshot } from '../src/discovery/snapshot.ts';
import { consistentHash } from '../src/selection/consistent-hash.ts';
import { leastLoaded } from '../src/selection/least-loaded.ts';
import { peakEwma } from '../src/selection/peak-ewma.ts';
import { randomHost } from '../src/selection/random-host.ts';
import { roundRobin } from '../src/selection/round-robin.ts';
import type { Selector } from '../src/selection/selector.ts';
import { sticky } from '../src/selection/sticky.ts';
import { weighted } from '../src/selection/weighted.ts';
import type { PickCost } from './measure.ts';

type Hosts = ReadonlyMap<string, string>;
type Picker = (hosts: Hosts) => (affinity: string) => string | undefined;

const HOSTS = 1000;
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
  randomHost: () => pickerOf(randomHost()),
  weighted: () => pickerOf(weighted((host) => 1 + (host.length % 3))),
  leastLoaded: () => pickerOf(leastLoaded()),
  peakEwma: () => pickerOf(peakEwma()),
  consistentHash: () => pickerOf(consistentHash()),
  sticky: () => pickerOf(sticky()),
};

process.send?.({
  type: 'result',
  costs: [
    ...costs('a snapshot, hosts stay', steady(Snapshot.of(entriesOf(HOSTS)))),
    ...costs('a plain Map, hosts stay', steady(new Map(entriesOf(HOSTS)))),
    ...costs('a snapshot, a change before every pick', changing(Snapshot.of(entriesOf(HOSTS)))),
  ],
});

/** A pick from hosts that stay: what is done at a change is done before the clock runs. */
function steady(hosts: Hosts): (start: () => Picker) => () => unknown {
  return (start) => {
    const pick = start()(hosts);
    let turn = 0;
    return () => pick(`user ${turn++ & 255}`);
  };
}

function changing(full: Snapshot<string>): (start: () => Picker) => () => unknown {
  const [gone] = [...full.keys()].slice(full.size >> 1);
  const less = Snapshot.change(full, [[gone ?? '', undefined]], 1);
  return (start) => {
    const next = start();
    let turn = 0;
    return () => next(turn++ % 2 === 0 ? less : full)('user 7');
  };
}

function costs(variant: string, task: (start: () => Picker) => () => unknown): PickCost[] {
  return Object.entries(subjects).map(([subject, start]) => ({
    variant,
    subject,
    keys: HOSTS,
    ...measure(task(start)),
  }));
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
