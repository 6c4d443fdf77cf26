// Services of other systems: one that go-kratos registered and one that etcd's own Go client did, each by the very
// bytes those write, are discovered, chosen in turn, and called.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, map, timeout } from 'rxjs';
import { mergeSources$, roundRobin, snapshots, watchPrefix$ } from 'rx-etcd';
import { etcdNaming, kratos } from 'rx-etcd/interop';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });

// Here they are servers of this process. What counts is that they know nothing of this library.
const servers = [await serve('kratos'), await serve('go')] as const;
const [kratosPort, goPort] = servers.map((server) => (server.address() as AddressInfo).port);
const leaseId = (await etcd.leaseClient.leaseGrant({ TTL: 15, ID: 0 })).ID;
await etcd
  .put('/microservices/example-40/7f3c1b1e')
  .value(
    `{"id":"7f3c1b1e","name":"example-40","version":"v1.2.0","metadata":{"zone":"cn-north"},"endpoints":` +
      `["grpc://127.0.0.1:9000?isSecure=false","http://127.0.0.1:${kratosPort}?isSecure=false"]}`,
  )
  .lease(leaseId);
await etcd
  .put(`examples/40/127.0.0.1:${goPort}`)
  .value(`{"Op":0,"Addr":"127.0.0.1:${goPort}","Metadata":{"zone":"cn-east"}}`)
  .lease(leaseId);

// A preset knows where a system keeps its services, and types what it finds there: `endpoints`, `Addr`.
const naming = etcdNaming();
const go$ = watchPrefix$(etcd, naming.prefix('examples/40'), { codec: naming.codec }).pipe(
  map((endpoints) => new Map([...endpoints].map(([key, { Addr }]) => [key, `http://${Addr}`]))),
);
const { codec, prefix } = kratos();
const kratos$ = watchPrefix$(etcd, prefix('example-40'), { codec }).pipe(
  map((instances) => new Map([...instances].flatMap(([key, { endpoints }]) => httpOf(endpoints, key)))),
);

const selector = await firstValueFrom(
  mergeSources$({ go: go$, kratos: kratos$ }).pipe(
    snapshots(),
    filter((hosts) => hosts.size === 2),
    roundRobin({ startAfter: '' }),
    timeout(20_000),
  ),
);

const answers: string[] = [];
for (let call = 0; call < 4; call++) {
  const host = selector.pick();
  assert(host !== undefined);
  const response = await fetch(host.value, { signal: AbortSignal.timeout(5000) });
  const answer = await response.text();
  console.log(`registered by ${host.source}: ${answer}`);
  answers.push(answer);
}

await etcd.leaseClient.leaseRevoke({ ID: leaseId });
for (const server of servers) server.close();
assert.deepEqual(answers, ['go says hello', 'kratos says hello', 'go says hello', 'kratos says hello']);

/** The HTTP endpoint of an instance, which may have others, as an entry of a map. */
function httpOf(endpoints: readonly string[], key: string): [string, string][] {
  const url = endpoints.find((endpoint) => endpoint.startsWith('http://'));
  return url === undefined ? [] : [[key, url]];
}

async function serve(name: string): Promise<Server> {
  const server = createServer((_, response) => response.end(`${name} says hello`)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

// Output:
//   registered by go: go says hello
//   registered by kratos: kratos says hello
//   registered by go: go says hello
//   registered by kratos: kratos says hello
