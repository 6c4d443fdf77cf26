// Requests through a pipeline to real HTTP servers: near ones first, in proportion to their weights.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import { concatMap, filter, interval, map, merge, take, toArray, withLatestFrom } from 'rxjs';
import { fromFetch } from 'rxjs/fetch';
import { preferZone, register$, watchPrefix$, weighted } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/30/';
await etcd.delete().prefix(prefix);

// A host's value holds what a client has to know of it: here, in the query of its URL.
const servers = await Promise.all([
  serve('big', 'zone=eu&weight=3'),
  serve('small', 'zone=eu&weight=1'),
  serve('far', 'zone=us&weight=3'),
]);
const providers = merge(
  ...servers.map(({ name, url }) => register$(etcd, prefix + name, url.href, { ttlSeconds: 10 })),
).subscribe();

const selector$ = watchPrefix$(etcd, prefix).pipe(
  filter((hosts) => hosts.size === 3),
  map((hosts) => new Map([...hosts].map(([key, href]) => [key, new URL(href)]))),
  preferZone('eu', (url) => url.searchParams.get('zone') ?? undefined, {
    choose: weighted((url) => Number(url.searchParams.get('weight'))),
  }),
);

interval(5)
  .pipe(
    withLatestFrom(selector$),
    take(40),
    concatMap(([, selector]) => {
      const url = selector.pick();
      if (url === undefined) throw new Error('there is no host');
      return fromFetch(url.href, { selector: (response) => response.text() });
    }),
    toArray(),
  )
  .subscribe((answers) => {
    for (const { name } of servers) {
      console.log(`${name}: ${answers.filter((answer) => answer === name).length}`);
    }
    providers.unsubscribe();
    for (const { server } of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

async function serve(name: string, query: string) {
  const server = createServer((_, response) => response.end(name));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { name, server, url: new URL(`http://127.0.0.1:${port}/?${query}`) };
}

// Output:
//   big: 30
//   small: 10
//   far: 0
