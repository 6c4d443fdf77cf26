import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer, entries } from './support.ts';

// Everything with a stock client, whose receive limit is 4 MB.
let server: EtcdServer;
let etcd: Gateway;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd({ extraArgs: ['--max-request-bytes=33554432'] });
  etcd = gateway(server.clientUrl);
});
afterEach(() => end.dispose());
afterAll(() => server.stop());

const HALF_MB = 'x'.repeat(500_000);

test('a list of 12 MB', async () => {
  await etcd.putEach(entries('list/', 24, (index) => `${index}${HALF_MB}`));
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'list/'));
  await followed.holds((snapshot) => snapshot.size === 24);
  expect(followed.snapshots.length).toBe(1);
  expect(followed.snapshots[0]?.get('list/000023')).toBe(`23${HALF_MB}`);
});

test('a transaction of 10 MB is one snapshot', async () => {
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'txn/'));
  await followed.holds({});
  const all = entries('txn/', 20, (index) => `${index}${HALF_MB}`);
  await etcd.write(all);
  await followed.holds((snapshot) => snapshot.size === 20);
  expect(followed.snapshots.length).toBe(2);
  expect([...(followed.last.status === 'live' ? followed.last.snapshot : [])]).toEqual(all);
  expect(followed.statuses).toEqual(['pending', 'live']);
});

test('a backlog of 12 MB after a reconnect', async () => {
  const proxy = await startProxy(server.clientPort);
  end.add(() => proxy.stop());
  const followed = end.follow(watchPrefixState$(end.client(proxy.url), 'backlog/'));
  await followed.holds({});
  await proxy.refuse();
  const all = entries('backlog/', 24, (index) => `${index}${HALF_MB}`);
  await etcd.putEach(all);
  await proxy.accept();
  await followed.holds((snapshot) => snapshot.size === 24);
  expect([...(followed.last.status === 'live' ? followed.last.snapshot : [])]).toEqual(all);
  expect(followed.resyncs).toEqual([]);
});

test('100 000 keys: listed at one revision while one writes, then followed', async () => {
  const all = entries('many/', 100_000);
  for (let at = 0; at < all.length; at += 100) await etcd.write(all.slice(at, at + 100));
  const writing = { on: true };
  const noise = (async () => {
    for (let i = 0; writing.on; i++)
      await etcd.write([
        ['many/000000', `a${i}`],
        ['many/099999', `a${i}`],
      ]);
  })();
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'many/'));
  await followed.holds((snapshot) => snapshot.size === 100_000, 30_000);
  writing.on = false;
  await noise;
  await etcd.delete('many/050000');
  await followed.holds((snapshot) => snapshot.size === 99_999);
  // The first and the last page are of one revision, and so is every snapshot.
  for (const snapshot of followed.snapshots)
    expect(snapshot.get('many/000000')?.replace(/^0$/, '99999')).toBe(snapshot.get('many/099999'));
  const listed = followed.states.flatMap((state) => (state.status === 'pending' ? [state.listed] : []));
  expect(listed).toEqual([...listed].sort((a, b) => a - b));
  expect(listed.length).toBeGreaterThan(3);
});
