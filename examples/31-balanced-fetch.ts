// A fetch that goes elsewhere: no request is lost while one of three hosts is killed, and another one
// leaves and comes back. Each host is a process of its own: this file again, with a name.
import { type ChildProcess, fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import {
  catchError,
  defer,
  filter,
  firstValueFrom,
  interval,
  mergeMap,
  type Observable,
  of,
  take,
  tap,
  timeout,
  toArray,
} from 'rxjs';
import { fromFetch } from 'rxjs/fetch';
import { balance, leastLoaded, register$, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/31/';
const name = process.argv[2];

if (name === undefined) await consume();
else provide(name);

async function consume(): Promise<void> {
  await etcd.delete().prefix(prefix);
  const hosts = new Map(['a', 'b', 'c'].map((host) => [host, start(host)]));
  // A GET may be made twice: it is tried again elsewhere, within a budget.
  const call$ = balance(watchPrefix$(etcd, prefix), leastLoaded(), { retries: 4 });
  await firstValueFrom(call$.states$.pipe(filter((states) => states.size === 3)));

  const events: Record<number, () => void> = {
    100: () => {
      stop('a', 'SIGKILL');
    },
    200: () => {
      stop('b', 'SIGTERM');
    },
    300: () => hosts.set('b', start('b')),
  };
  let tries = 0;
  const request$ = (): Observable<string> =>
    call$((url) =>
      defer(() => {
        tries++;
        // In here, a timeout counts against the host.
        return fromFetch(url, { selector: (response) => response.text() }).pipe(timeout(1000));
      }),
    ).pipe(catchError(() => of('lost')));

  const answers = await firstValueFrom(
    interval(5).pipe(
      take(600),
      tap((i) => events[i]?.()),
      mergeMap(request$),
      toArray(),
    ),
  );
  for (const who of ['a', 'b', 'c', 'lost']) {
    console.log(`${who}: ${answers.filter((answer) => answer === who).length}`);
  }
  console.log(`${answers.length} requests in ${tries} tries`);
  call$.release();
  for (const host of hosts.keys()) hosts.get(host)?.kill();

  function stop(host: string, signal: NodeJS.Signals): void {
    console.log(`${host} gets ${signal}`);
    hosts.get(host)?.kill(signal);
  }
}

function start(host: string): ChildProcess {
  console.log(`${host} starts`);
  return fork(import.meta.filename, [host]);
}

function provide(host: string): void {
  // Not to outlive the consumer, whatever ends it.
  process.once('disconnect', () => process.exit());
  if (!process.connected) process.exit();
  const server = createServer((_, response) => setTimeout(() => response.end(host), 5));
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    const registration = register$(etcd, prefix + host, `http://127.0.0.1:${port}`, { ttlSeconds: 2 }).subscribe();
    // Out of etcd first; then it still answers consumers that have not heard of it yet.
    const leave = (): void => {
      registration.unsubscribe();
      setTimeout(() => {
        server.close();
        process.disconnect();
      }, 300);
    };
    process.once('SIGTERM', leave);
  });
}

// Output:
//   a starts
//   b starts
//   c starts
//   a gets SIGKILL
//   b gets SIGTERM
//   b starts
//   a: …
//   b: …
//   c: …
//   lost: 0
//   600 requests in … tries
