/** One client process: holds many leases, each with a key, and reports what that costs for a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { lastValueFrom, mergeMap, range } from 'rxjs';
import { register$ } from '../src/index.ts';
import { cpuUs } from './support/cpu.ts';
import { hostKey, hostValue } from './support/hosts.ts';
import { profiled } from './support/profile.ts';

interface LeaseTask {
  readonly subject: 'rx-etcd' | 'etcd3';
  readonly url: string;
  readonly leases: number;
  readonly ttlSeconds: number;
  readonly seconds: number;
  /** To tell in which parts the time goes, in place of how much it is. */
  readonly profile?: boolean;
}

const { subject, url, leases, ttlSeconds, seconds, profile = false } = JSON.parse(process.argv[2] ?? '{}') as LeaseTask;
const etcd = new Etcd3({ hosts: url });
await etcd.get('-');
globalThis.gc?.();
const memoryBefore = process.memoryUsage();

/** Resolves when the lease is granted and its key put; then it is held. */
const HOLD = {
  'rx-etcd': (index: number) =>
    new Promise<void>((resolve, reject) => {
      register$(etcd, hostKey(index), hostValue(index), { ttlSeconds }).subscribe({
        next: ({ status }) => {
          if (status === 'registered') resolve();
        },
        error: reject,
      });
    }),
  etcd3: async (index: number) => {
    await etcd.lease(ttlSeconds).put(hostKey(index)).value(hostValue(index));
  },
};

// A hundred at a time: with all at once etcd3's own retries give up.
await lastValueFrom(range(0, leases).pipe(mergeMap(HOLD[subject], 100)));
process.send?.({ type: 'held' });
// Past the first renewals: what is measured is the holding.
await sleep((ttlSeconds * 1000) / 3);
globalThis.gc?.();
if (profile) {
  process.send?.({ type: 'result', shares: await profiled(() => sleep(seconds * 1000)) });
} else {
  const before = cpuUs();
  await sleep(seconds * 1000);
  const us = (cpuUs() - before) / seconds;
  // Pages that a collection leaves empty go back to the system a little later.
  for (let time = 0; time < 4; time++) {
    globalThis.gc?.();
    await sleep(500);
  }
  const { rss, heapUsed } = process.memoryUsage();
  process.send?.({ type: 'result', us, rss: rss - memoryBefore.rss, heap: heapUsed - memoryBefore.heapUsed });
}
