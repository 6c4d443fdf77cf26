/**
 * `npm run bench`: what this library costs beside what one would write without it, in one run. Prints its progress and
 * writes bench/results.json, docs/images/performance.svg and the tables of docs/performance.md and README.md.
 *
 * Options: `--runs=N` (how often each is measured, default 3; the median counts), `--only=replay,profile,live,list,leases,decoders`.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findEtcd } from '../scripts/etcd.mjs';
import { startEtcd } from '../test/support/etcd-server.ts';
import { replayProfile, replayed, reported, watched } from './measure.ts';
import { plot } from './report/plot.ts';
import { tables } from './report/tables.ts';
import { writeSection } from './report/write-section.ts';
import { startWorker } from './support/processes.ts';
import type { Shares } from './support/profile.ts';

/** One measured thing: the median, and what it was the median of. */
export interface Row {
  readonly group: 'replay' | 'live' | 'list' | 'leases' | 'decoders';
  readonly subject: string;
  readonly keys: number;
  readonly perMessage: number;
  readonly measure: 'cpuUs' | 'bytes' | 'heapBytes' | 'ms';
  readonly median: number;
  readonly all: readonly number[];
}

/** Where the time of one case goes: one run, under the profiler. */
export interface Profile {
  readonly what: string;
  readonly shares: Shares;
}

const LEASES = 10_000;

const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' }, only: { type: 'string' } } });
const runs = Number(values.runs);
const wanted = (group: Row['group'] | 'profile'): boolean => values.only?.split(',').includes(group) ?? true;
const root = process.cwd();
const profiles: Profile[] = [];
const samples = new Map<string, { readonly row: Omit<Row, 'median' | 'all'>; readonly all: number[] }>();

const etcd = findEtcd(process.env, join(root, '.etcd'));
if (etcd !== undefined) process.env['ETCD_BIN'] = etcd.path;

// Interleaved: what disturbs the machine disturbs all alike.
for (let run = 1; run <= runs; run++) {
  if (wanted('decoders')) await decoders(run);
  if (wanted('replay')) await replay(run);
  if (wanted('live')) await live(run);
}
if (wanted('profile')) await profile();
if (wanted('list')) {
  await lists(100_000, runs);
  await lists(1_000_000, Math.min(3, runs));
}
if (wanted('leases')) for (let run = 1; run <= Math.min(3, runs); run++) await leases(run);

const rows: Row[] = [...samples.values()].map(({ row, all }) => ({ ...row, median: median(all), all }));
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  platform: `${platform()} ${arch()}`,
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
  runs,
};
await mkdir(join(root, 'docs/images'), { recursive: true });
await writeFile(join(root, 'bench/results.json'), `${JSON.stringify({ machine, rows, profiles }, null, 2)}\n`);
if (values.only === undefined) {
  await writeFile(join(root, 'docs/images/performance.svg'), plot(rows));
  const { full, short } = tables(rows, profiles, machine);
  await writeSection(join(root, 'docs/performance.md'), full);
  await writeSection(join(root, 'README.md'), short);
}
console.log(`\n${tables(rows, profiles, machine).full}`);

async function decoders(run: number): Promise<void> {
  for (const perMessage of [1, 64]) {
    for (const subject of ['rx-etcd', 'etcd3']) {
      const { us } = await reported<{ readonly us: number }>('decoder-client.js', { subject, events: perMessage });
      record(run, { group: 'decoders', subject, keys: 0, perMessage, measure: 'cpuUs' }, us);
    }
  }
}

async function replay(run: number): Promise<void> {
  for (const keys of [1000, 10_000, 100_000]) {
    for (const perMessage of [1, 100]) {
      for (const subject of ['rx-etcd', 'mutable-map', 'scan', 'floor']) {
        // A copy of the map for each event is so slow that fewer events tell as much.
        const events = subject === 'scan' ? 20_000_000 / keys : 100_000;
        const us = await replayed({ subject, keys, perMessage, warmup: Math.ceil(events / 2_00) * 100, events });
        record(run, { group: 'replay', subject, keys, perMessage, measure: 'cpuUs' }, us);
      }
    }
  }
}

async function profile(): Promise<void> {
  for (const keys of [1000, 100_000]) {
    for (const perMessage of [1, 100]) {
      const events = 200_000;
      const shares = await replayProfile({ subject: 'rx-etcd', keys, perMessage, warmup: events / 2, events });
      recordProfile(`${keys.toLocaleString('en')} keys, ${perMessage} a message`, shares);
    }
  }
  const { shares } = await leasesHeld<{ readonly shares: Shares }>('rx-etcd', { profile: true });
  recordProfile(`${LEASES.toLocaleString('en')} leases held`, shares);
}

function recordProfile(what: string, shares: Shares): void {
  profiles.push({ what, shares });
  console.log(`profile of ${what}: ${JSON.stringify(shares)}`);
}

async function live(run: number): Promise<void> {
  const keys = 1000;
  for (const perMessage of [1, 100]) {
    const server = await startEtcd();
    const writer = startWorker('live-writer.js', { url: server.clientUrl, keys, perMessage });
    await writer.next('listening');
    for (const subject of ['rx-etcd', 'mutable-map', 'scan']) {
      const events = perMessage === 1 ? 10_000 : 50_000;
      const us = await watched(writer, { subject, url: server.clientUrl, warmup: events / 2, events });
      record(run, { group: 'live', subject, keys, perMessage, measure: 'cpuUs' }, us);
    }
    await writer.stop();
    await server.stop();
  }
}

async function lists(keys: number, times: number): Promise<void> {
  const server = await startEtcd();
  const writer = startWorker('live-writer.js', { url: server.clientUrl, keys, perMessage: 1 });
  await writer.next('listening');
  await writer.stop();
  for (let run = 1; run <= times; run++) {
    for (const subject of ['rx-etcd', 'etcd3']) {
      const task = { subject, url: server.clientUrl, keys };
      const result = await reported<{ us: number; peakRss: number; wallMs: number }>('list-client.js', task);
      record(run, { group: 'list', subject, keys, perMessage: 0, measure: 'cpuUs' }, result.us);
      record(run, { group: 'list', subject, keys, perMessage: 0, measure: 'bytes' }, result.peakRss);
      record(run, { group: 'list', subject, keys, perMessage: 0, measure: 'ms' }, result.wallMs);
    }
  }
  await server.stop();
}

async function leases(run: number): Promise<void> {
  for (const subject of ['rx-etcd', 'etcd3']) {
    const { us, rss, heap } = await leasesHeld<{ us: number; rss: number; heap: number }>(subject);
    record(run, { group: 'leases', subject, keys: LEASES, perMessage: 0, measure: 'cpuUs' }, us);
    record(run, { group: 'leases', subject, keys: LEASES, perMessage: 0, measure: 'bytes' }, rss);
    record(run, { group: 'leases', subject, keys: LEASES, perMessage: 0, measure: 'heapBytes' }, heap);
  }
}

async function leasesHeld<R>(subject: string, more: { readonly profile?: true } = {}): Promise<R> {
  const server = await startEtcd();
  try {
    const task = { subject, url: server.clientUrl, leases: LEASES, ttlSeconds: 30, seconds: 20, ...more };
    return await reported<R>('lease-client.js', task);
  } finally {
    await server.stop();
  }
}

function record(run: number, row: Omit<Row, 'median' | 'all'>, value: number): void {
  const name = Object.values(row).join(' ');
  const sample = samples.get(name) ?? { row, all: [] };
  samples.set(name, sample);
  sample.all.push(value);
  const { group, subject, keys, perMessage, measure } = row;
  console.log(
    `[${run}/${runs}] ${group} ${subject} keys=${keys} perMessage=${perMessage}: ${value.toFixed(2)} ${measure}`,
  );
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1] as number;
}
