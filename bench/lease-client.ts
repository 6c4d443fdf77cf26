/** One client process: holds many leases, each with a key, and reports what that costs for a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, from, mergeMap, tap } from 'rxjs';
import { register$ } from '../src/index.ts';
import { cpuUs } from './support/cpu.ts';
import { hostKey, hostValue } from './support/hosts.ts';

interface LeaseTask {
  readonly subject: 'rx-etcd' | 'etcd3';
  readonly url: string;
  readonly leases: number;
  readonly ttlSeconds: number;
  readonly seconds: number;
}

const { subject, url, leases, ttlSeconds, seconds } = JSON.parse(process.argv[2] ?? '{}') as LeaseTask;
const etcd = new Etcd3({ hosts: url });
await etcd.get('-');
globalThis.gc?.();
const rssBefore = process.memoryUsage().rss;
const indexes = Array.from({ length: leases }, (_, index) => index);

if (subject === 'rx-etcd') {
  await Promise.all(
    indexes.map((index) => {
      const state$ = register$(etcd, hostKey(index), hostValue(index), { ttlSeconds });
      return new Promise<void>((resolve, reject) => {
        state$
          .pipe(filter((state) => state.status === 'registered'))
          .subscribe({ next: () => resolve(), error: reject });
      });
    }),
  );
} else {
  await firstValueFrom(
    from(indexes).pipe(
      // Not all at once: etcd3's own retries would give up.
      mergeMap((index) => etcd.lease(ttlSeconds).put(hostKey(index)).value(hostValue(index)), 100),
      tap({ error: (error: unknown) => process.stderr.write(`${String(error)}\n`) }),
      filter((_, index) => index === leases - 1),
    ),
  );
}
process.send?.({ type: 'held' });
// Past the first renewals: what is measured is the holding.
await sleep((ttlSeconds * 1000) / 3);
globalThis.gc?.();
const before = cpuUs();
await sleep(seconds * 1000);
const us = (cpuUs() - before) / seconds;
globalThis.gc?.();
process.send?.({ type: 'result', us, rss: process.memoryUsage().rss - rssBefore });
