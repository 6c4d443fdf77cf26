import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { resolveClient } from '../../src/etcd/connection.ts';
import { watchPrefix$, watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer } from './support.ts';

let server: EtcdServer;
let etcd: Gateway;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd();
  etcd = gateway(server.clientUrl);
});
afterEach(() => end.dispose());
afterAll(() => server.stop());

async function onServer(): Promise<{ readonly watchers: number; readonly streams: number }> {
  const metrics = await server.metrics();
  return {
    watchers: metrics('etcd_debugging_mvcc_watcher_total'),
    streams: metrics('etcd_debugging_mvcc_watch_stream_total'),
  };
}

async function expectNothingOnServer(): Promise<void> {
  await eventually(async () => {
    expect(await onServer()).toEqual({ watchers: 0, streams: 0 });
    return true;
  });
}

test('each unsubscribe frees its watcher on the server, the last one the stream, and then the connection', async () => {
  const proxy = await startProxy(server.clientPort);
  end.add(() => proxy.stop());
  const client = end.client(proxy.url);
  const [first, second] = ['t/', 't/a'].map((prefix) => end.follow(watchPrefixState$(client, prefix)));
  await eventually(async () => (await onServer()).watchers === 2);
  first?.unsubscribe();
  await eventually(async () => (await onServer()).watchers === 1);
  await etcd.put('t/a');
  await second?.holds({ 't/a': '1' });
  second?.unsubscribe();
  await expectNothingOnServer();
  await eventually(() => proxy.connections === 0);
});

test('an outage leaves one connection, the one in use: attempts that failed leave none', async () => {
  const proxy = await startProxy(server.clientPort);
  end.add(() => proxy.stop());
  const followed = end.follow(watchPrefixState$(end.client(proxy.url), 't/'));
  await followed.becomes('live');
  await proxy.refuse();
  await eventually(() => followed.last.status === 'stale' && followed.last.attempt >= 5, { withinMs: 20_000 });
  await proxy.accept();
  await followed.becomes('live');
  // grpc's own next attempt would be made a second after the failed one.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(proxy.connections).toBe(1);
});

test('10 000 subscriptions come and go, at every moment of their lives, and nothing is left', async () => {
  const client = end.client(server.clientUrl);
  const keeping = end.follow(watchPrefixState$(client, 'kept/'));
  await keeping.becomes('live');
  for (let round = 0; round < 100; round++) {
    const subscriptions = Array.from({ length: 100 }, (_, index) => watchPrefix$(client, `pair/${index}/`).subscribe());
    if (round % 2 === 0) for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (const subscription of subscriptions) subscription.unsubscribe();
  }
  await eventually(async () => (await onServer()).watchers === 1);
  await etcd.put('kept/a');
  await keeping.holds({ 'kept/a': '1' });
  expect(keeping.statuses).toEqual(['pending', 'live']);
  keeping.unsubscribe();
  await expectNothingOnServer();
});

test('1000 subscriptions, each the only one, and nothing is left, although the connection stays', async () => {
  const client = end.client(server.clientUrl);
  const held = resolveClient(client).connection.member$.subscribe();
  end.add(() => {
    held.unsubscribe();
  });
  for (let round = 0; round < 1000; round++) {
    const subscription = watchPrefix$(client, 'alone/').subscribe();
    if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    subscription.unsubscribe();
  }
  const last = end.follow(watchPrefixState$(client, 'alone/'));
  await eventually(async () => (await onServer()).watchers === 1);
  last.unsubscribe();
  await expectNothingOnServer();
});

test('unsubscribed while etcd is away: nothing is tried any more', async () => {
  const proxy = await startProxy(server.clientPort);
  end.add(() => proxy.stop());
  const followed = end.follow(watchPrefixState$(end.client(proxy.url), 't/'));
  await followed.becomes('live');
  await proxy.refuse();
  await followed.becomes('stale');
  followed.unsubscribe();
  const { length } = followed.states;
  await proxy.accept();
  // Beyond the second for which an unused connection lingers, and any back-off.
  await new Promise((resolve) => setTimeout(resolve, 3500));
  expect(proxy.connections).toBe(0);
  expect(followed.states.length).toBe(length);
  await expectNothingOnServer();
});

test.each([
  ['unsubscribed and closed', 'unsubscribe close'],
  ['unsubscribed, the client not closed', 'unsubscribe'],
  ['the client closed, not unsubscribed', 'close'],
  ['closed first, then unsubscribed', 'close unsubscribe'],
  ['unsubscribed while etcd is away', 'away unsubscribe close'],
  ['closed while etcd is away', 'away close'],
])('a process ends by itself: %s', async (_, actions) => {
  const script = fileURLToPath(new URL('ending-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, server.clientUrl, ...actions.split(' ')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  end.add(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await Promise.race([
    once(child, 'exit'),
    new Promise((__, reject) =>
      setTimeout(() => {
        reject(new Error(`still running; it said: ${output}`));
      }, 15_000).unref(),
    ),
  ])) as [number | null];
  expect(output).toContain('done');
  expect({ code, output }).toMatchObject({ code: 0 });
  await expectNothingOnServer();
});

test('closing the client ends its streams with an error that says so, also for a late subscriber', async () => {
  const client = end.client(server.clientUrl);
  const followed = end.follow(watchPrefixState$(client, 't/'));
  await followed.becomes('live');
  const early = end.follow(watchPrefixState$(client, 'early/'));
  client.close();
  expect((await followed.failed()).code).toBe('client-closed');
  expect((await early.failed()).code).toBe('client-closed');
  const late = end.follow(watchPrefixState$(client, 't/'));
  expect((await late.failed()).code).toBe('client-closed');
  await expectNothingOnServer();
});

test('a client closed before the first subscription, and one closed while etcd is away', async () => {
  const closed = end.client(server.clientUrl);
  closed.close();
  expect((await end.follow(watchPrefixState$(closed, 't/')).failed()).code).toBe('client-closed');
  const nobody = end.client('http://127.0.0.1:1');
  const followed = end.follow(watchPrefixState$(nobody, 't/'));
  await eventually(() => followed.last.status === 'pending' && followed.last.attempt > 0);
  nobody.close();
  const error = await followed.failed();
  expect(error.code).toBe('client-closed');
  expect(error.message).toContain('closed');
});
