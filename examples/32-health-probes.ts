// A health probe for each instance, for exactly as long as it is there, decides who is chosen from.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import {
  catchError,
  distinctUntilChanged,
  filter,
  finalize,
  firstValueFrom,
  map,
  of,
  scan,
  shareReplay,
  startWith,
  switchMap,
  timeout,
  timer,
} from 'rxjs';
import { fromFetch } from 'rxjs/fetch';
import { perInstance, register$, roundRobin, watchPrefix$, where } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/32/';
await etcd.delete().prefix(prefix);

const [a, b, c] = [await serve('a'), await serve('b'), await serve('c')];
const providers = new Map(
  [a, b, c].map((server) => [
    server,
    register$(etcd, prefix + server.name, server.url, { ttlSeconds: 10 }).subscribe(),
  ]),
);

const hosts$ = watchPrefix$(etcd, prefix).pipe(shareReplay({ bufferSize: 1, refCount: true }));

const healthy$ = hosts$.pipe(
  perInstance((url, key) =>
    timer(0, 50).pipe(
      switchMap(() => isWell$(url)),
      distinctUntilChanged(),
      map((well) => [key, well] as const),
      finalize(() => {
        console.log(`${key.slice(prefix.length)} is probed no more`);
      }),
    ),
  ),
  scan((well, [key, is]) => new Map(well).set(key, is), new Map<string, boolean>()),
  startWith(new Map<string, boolean>()),
);

const chosen$ = hosts$.pipe(
  where(healthy$.pipe(map((well) => (_: string, key: string) => well.get(key) === true))),
  roundRobin(),
  map(({ hosts }) => [...hosts.keys()].map((key) => key.slice(prefix.length)).join(' ')),
  distinctUntilChanged(),
  shareReplay({ bufferSize: 1, refCount: true }),
);
const following = chosen$.subscribe();

await until('a b c');
b.sick = true;
await until('a c');
b.sick = false;
await until('a b c');
providers.get(c)?.unsubscribe();
await until('a b');

following.unsubscribe();
for (const [{ server }, provider] of providers) {
  provider.unsubscribe();
  server.close();
  server.closeAllConnections();
}

function isWell$(url: string) {
  return fromFetch(`${url}/health`).pipe(
    timeout(1000),
    map((response) => response.ok),
    catchError(() => of(false)),
  );
}

async function until(names: string): Promise<void> {
  await firstValueFrom(chosen$.pipe(filter((now) => now === names)));
  console.log(`chosen from: ${names}`);
}

async function serve(name: string) {
  const server = createServer((_, response) => {
    response.statusCode = instance.sick ? 503 : 200;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const instance = { name, server, url: `http://127.0.0.1:${port}`, sick: false };
  return instance;
}

// Output:
//   chosen from: a b c
//   chosen from: a c
//   chosen from: a b c
//   c is probed no more
//   chosen from: a b
//   … is probed no more
//   … is probed no more
