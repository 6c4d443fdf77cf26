import { Etcd3 } from 'etcd3';
import { Subscription } from 'rxjs';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { register$, watchPrefix$ } from '../../src/index.ts';
import { createSandbox, type Sandbox } from '../support/sandbox.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';

const COUNT = 1000;

let server: EtcdServer;
let sandbox: Sandbox;

beforeAll(async () => {
  // With etcd's own timing: at the tests' shorter one, so much work at once can cost a busy machine its leader.
  server = await startEtcd({ heartbeatMs: 100 });
  sandbox = createSandbox();
});

afterAll(async () => {
  sandbox.remove();
  await server.stop();
});

test('1000 registrations and 1000 watches of one client: one watch stream, one keepalive stream', async () => {
  const etcd = new Etcd3({ hosts: server.clientUrl });
  const before = await streams();
  const registered = new Set<string>();
  const seen = new Set<number>();
  const running = new Subscription();
  onTestFinished(() => {
    running.unsubscribe();
    etcd.close();
  });
  for (let i = 0; i < COUNT; i++) {
    running.add(
      register$(etcd, `/thousand/${i}`, '10.0.0.7:8080', { ttlSeconds: 15 }).subscribe((state) => {
        if (state.status === 'registered') registered.add(state.leaseId);
      }),
    );
    running.add(
      watchPrefix$(etcd, `/thousand/${i}`).subscribe((hosts) => {
        if (hosts.has(`/thousand/${i}`)) seen.add(i);
      }),
    );
  }
  await eventually(() => registered.size === COUNT && seen.size === COUNT, { withinMs: 30_000, what: 'all there' });

  // Every lease was renewed once, and nothing has opened another stream for it.
  await eventually(async () => (await streams()).renewals - before.renewals >= COUNT, { withinMs: 30_000 });
  // A registration watches its own key as well.
  await eventually(async () => (await streams()).watchers === 2 * COUNT, { what: 'a watcher for each watch' });
  const during = await streams();
  expect(during.watchOpen - before.watchOpen).toBe(1);
  expect(during.watchOpened - before.watchOpened).toBe(1);
  expect(during.keepAliveOpened - before.keepAliveOpened).toBe(1);

  running.unsubscribe();
  await eventually(
    async () => {
      const after = await streams();
      return (
        after.watchers === 0 && after.watchOpen === before.watchOpen && after.keepAliveOpen === before.keepAliveOpen
      );
    },
    { what: 'no stream and no watcher left' },
  );
  await eventually(async () => (await etcd.leaseClient.leaseLeases()).leases.length === 0, {
    withinMs: 20_000,
    what: 'no lease left',
  });
});

test.each(['and closes the client', 'and does not even close the client'])(
  'a process that unsubscribes from 1000 registrations and 1000 watches %s ends by itself',
  async (closing) => {
    expect(sandbox.add(new Map([['thousand.ts', program]]))).toEqual([]);
    const run = sandbox.run('thousand.ts', {
      ETCD_HOSTS: server.clientUrl,
      CLOSE: closing.includes('not') ? 'no' : 'yes',
    });
    expect(await run.ended, run.output() + run.errors()).toBe(0);
    expect(run.output()).toBe(`${COUNT} registered, ${COUNT} watched\n`);
    expect(await server.metrics().then((metrics) => metrics('etcd_debugging_mvcc_watcher_total'))).toBe(0);
    const etcd = new Etcd3({ hosts: server.clientUrl });
    const { leases } = await etcd.leaseClient.leaseLeases();
    etcd.close();
    expect(leases.length).toBe(0);
  },
);

// The TTL is far longer than this test: nothing is gone by waiting.
const program = `
import { Etcd3 } from 'etcd3';
import { Subscription } from 'rxjs';
import { register$, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS'] ?? '' });
const running = new Subscription();
const count = ${COUNT};
const registered: unknown[] = [];
const watched = new Set<number>();
await new Promise<void>((resolve) => {
  const look = () => {
    if (registered.length === count && watched.size === count) resolve();
  };
  for (let i = 0; i < count; i++) {
    running.add(
      register$(etcd, \`/process/\${i}\`, 'x', { ttlSeconds: 600 }).subscribe((state) => {
        if (state.status === 'registered') registered.push(state);
        look();
      }),
    );
    running.add(
      watchPrefix$(etcd, \`/process/\${i}\`).subscribe((hosts) => {
        if (hosts.size > 0) watched.add(i);
        look();
      }),
    );
  }
});
running.unsubscribe();
if (process.env['CLOSE'] === 'yes') etcd.close();
console.log(\`\${registered.length} registered, \${watched.size} watched\`);
`;

interface Streams {
  readonly watchers: number;
  readonly watchOpened: number;
  readonly watchOpen: number;
  readonly keepAliveOpened: number;
  readonly keepAliveOpen: number;
  /** Messages that came over keepalive streams. */
  readonly renewals: number;
}

async function streams(): Promise<Streams> {
  const metrics = await server.metrics();
  const call = (metric: string, service: string, method: string): number =>
    metrics(`${metric}{grpc_method="${method}",grpc_service="etcdserverpb.${service}",grpc_type="bidi_stream"}`);
  const opened = (service: string, method: string): number => call('grpc_server_started_total', service, method);
  const ended = (service: string, method: string): number =>
    ['OK', 'Canceled', 'Unavailable', 'Unknown']
      .map((code) =>
        metrics(
          `grpc_server_handled_total{grpc_code="${code}",grpc_method="${method}",` +
            `grpc_service="etcdserverpb.${service}",grpc_type="bidi_stream"}`,
        ),
      )
      .reduce((sum, count) => sum + count);
  return {
    watchers: metrics('etcd_debugging_mvcc_watcher_total'),
    watchOpen: metrics('etcd_debugging_mvcc_watch_stream_total'),
    watchOpened: opened('Watch', 'Watch'),
    keepAliveOpened: opened('Lease', 'LeaseKeepAlive'),
    keepAliveOpen: opened('Lease', 'LeaseKeepAlive') - ended('Lease', 'LeaseKeepAlive'),
    renewals: call('grpc_server_msg_received_total', 'Lease', 'LeaseKeepAlive'),
  };
}
