/**
 * `npm run bench`: what this library costs beside what one would write without it, in one run. Prints its progress,
 * writes bench/results.json, and from that every number and picture in README and docs/.
 *
 *   npm run bench -- --only=list,picks   measures these groups alone; the results of the others stay
 *   npm run bench -- --runs=5            how often each is measured, 3 by default; the median counts
 *   npm run bench -- --report            measures nothing: writes the documents again from the results
 */
import { arch, cpus, platform } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { findEtcd } from '../scripts/etcd.mjs';
import { type EtcdServer, startEtcd } from '../test/support/etcd-server.ts';
import { type PickCost, replayProfile, replayed, reported, watched } from './measure.ts';
import { GROUPS, type Group, type Profile, type Row, type Shares } from './report/row.ts';
import { sections } from './report/sections.ts';
import { readResults, writeReport, writeResults } from './report/write-report.ts';
import { startWorker } from './support/processes.ts';

const LEASES = 10_000;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: GROUPS.join() },
    report: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const groups = values.report ? [] : GROUPS.filter((group) => values.only.split(',').includes(group));
const wanted = (group: Group): boolean => groups.includes(group);
const root = pathToFileURL(`${process.cwd()}/`);
const profiles: Profile[] = [];
const samples = new Map<string, { readonly row: Omit<Row, 'median' | 'all'>; readonly all: number[] }>();

// This program runs compiled, from a folder of its own, where there is no `.etcd/`.
const etcd = findEtcd(process.env, new URL('.etcd', root).pathname);
if (etcd !== undefined) process.env['ETCD_BIN'] = etcd.path;

// Interleaved: what disturbs the machine disturbs all alike.
for (let run = 1; run <= runs; run++) {
  if (wanted('decoders')) await decoders(run);
  if (wanted('replay')) await replay(run);
  if (wanted('live')) await live(run);
  if (wanted('picks')) await picks(run);
}
if (wanted('profile')) await profile();
if (wanted('list')) for (const keys of [100_000, 1_000_000]) await lists(keys);
if (wanted('pages')) await pages(300_000);
if (wanted('leases')) for (let run = 1; run <= runs; run++) await leases(run);

const before = readResults(root);
const rows = [...samples.values()].map(({ row, all }): Row => ({ ...row, median: median(all), all }));
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  platform: `${platform()} ${arch()}`,
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
  runs,
};
const results = {
  measured: { ...before.measured, ...Object.fromEntries(groups.map((group) => [group, machine])) },
  rows: [...before.rows.filter(({ group }) => !wanted(group)), ...rows],
  profiles: wanted('profile') ? profiles : before.profiles,
};
writeResults(root, results);
await writeReport(root, results);
console.log(`\n${Object.values(sections(results)).join('\n\n')}`);

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

async function lists(keys: number): Promise<void> {
  const server = await startFilled(keys);
  for (let run = 1; run <= runs; run++) {
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

/** A list in pages, each of which asks for all that is left, up to a limit; and this library's. */
async function pages(keys: number): Promise<void> {
  const server = await startFilled(keys);
  const serverUs = async (): Promise<number> => (await server.metrics())('process_cpu_seconds_total') * 1e6;
  for (let run = 1; run <= runs; run++) {
    for (const limit of [1000, 5000, 20_000, 100_000, 0]) {
      const subject = limit === 0 ? 'rx-etcd' : `pages of ${limit.toLocaleString('en')}, to the end of the range`;
      const client = startWorker('page-client.js', { limit, url: server.clientUrl, keys });
      await client.next('ready');
      const before = await serverUs();
      const { us } = await client.next<{ readonly us: number }>('result');
      record(
        run,
        { group: 'pages', subject, keys, perMessage: 0, measure: 'serverCpuUs' },
        (await serverUs()) - before,
      );
      record(run, { group: 'pages', subject, keys, perMessage: 0, measure: 'cpuUs' }, us);
      await client.stop();
    }
  }
  await server.stop();
}

async function startFilled(keys: number): Promise<EtcdServer> {
  const server = await startEtcd();
  const writer = startWorker('live-writer.js', { url: server.clientUrl, keys, perMessage: 1 });
  await writer.next('listening');
  await writer.stop();
  return server;
}

async function picks(run: number): Promise<void> {
  const { costs } = await reported<{ readonly costs: readonly PickCost[] }>('pick-client.js', {});
  for (const { variant, subject, keys, ns, bytes } of costs) {
    record(run, { group: 'picks', subject, keys, perMessage: 0, measure: 'ns', variant }, ns);
    record(run, { group: 'picks', subject, keys, perMessage: 0, measure: 'bytes', variant }, bytes);
  }
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
  const { measure, ...what } = row;
  console.log(`[${run}/${runs}] ${Object.values(what).join(' ')}: ${value.toFixed(2)} ${measure}`);
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1] as number;
}
