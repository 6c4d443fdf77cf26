/** One client process: lists all hosts, once to warm up, and reports what the second time cost. */
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom } from 'rxjs';
import { watchPrefix$ } from '../src/index.ts';
import { cpuUs } from './support/cpu.ts';
import { PREFIX } from './support/hosts.ts';

const { subject, url, keys } = JSON.parse(process.argv[2] ?? '{}') as { subject: string; url: string; keys: number };
// etcd3 lists in one answer, so its limit has to be raised.
const etcd = new Etcd3({
  hosts: url,
  ...(subject === 'etcd3' && { grpcOptions: { 'grpc.max_receive_message_length': -1 } }),
});

const list = async (): Promise<ReadonlyMap<string, string>> => {
  if (subject === 'rx-etcd')
    return firstValueFrom(watchPrefix$(etcd, PREFIX).pipe(filter((hosts) => hosts.size === keys)));
  return new Map(Object.entries(await etcd.getAll().prefix(PREFIX).strings()));
};

await list();
globalThis.gc?.();
const before = cpuUs();
const startedAt = performance.now();
const hosts = await list();
const us = (cpuUs() - before) / hosts.size;
const wallMs = performance.now() - startedAt;
globalThis.gc?.();
const { rss, heapUsed } = process.memoryUsage();
process.send?.({ type: 'result', us, wallMs, rss, heapUsed, peakRss: process.resourceUsage().maxRSS * 1024 });
