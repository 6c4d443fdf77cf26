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

/** The last list, so that it is still held when memory is looked at. */
const kept: { list: unknown } = { list: undefined };
const list = async (): Promise<void> => {
  kept.list =
    subject === 'rx-etcd'
      ? await firstValueFrom(watchPrefix$(etcd, PREFIX).pipe(filter((hosts) => hosts.size === keys)))
      : await etcd.getAll().prefix(PREFIX).strings();
};

await list();
globalThis.gc?.();
const before = cpuUs();
const startedAt = performance.now();
await list();
const us = (cpuUs() - before) / keys;
const wallMs = performance.now() - startedAt;
globalThis.gc?.();
const { rss, heapUsed } = process.memoryUsage();
process.send?.({ type: 'result', us, wallMs, rss, heapUsed, peakRss: process.resourceUsage().maxRSS * 1024 });
