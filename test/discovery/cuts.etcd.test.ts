import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Etcd3 } from 'etcd3';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer, entries, expectTrue, type Followed } from './support.ts';

let server: EtcdServer;
let etcd: Gateway;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd();
  etcd = gateway(server.clientUrl);
});
afterEach(() => end.dispose());
afterAll(() => server.stop());

interface Proxied {
  readonly proxy: TcpProxy;
  readonly client: Etcd3;
  readonly followed: Followed<string>;
}

/** A client of its own behind a proxy of its own, live. */
async function proxied(prefix: string): Promise<Proxied> {
  const proxy = await startProxy(server.clientPort);
  end.add(() => proxy.stop());
  const client = end.client(proxy.url);
  const followed = end.follow(watchPrefixState$(client, prefix));
  await followed.becomes('live');
  return { proxy, client, followed };
}

/** Waits until it holds as many keys, and gives the bytes that its connection carried since `before`. */
async function bytesUntil({ proxy, followed }: Proxied, size: number, before: number): Promise<number> {
  await followed.holds((snapshot) => snapshot.size === size);
  return proxy.bytesFromServer - before;
}

/**
 * Cuts clients off, writes, and lets them come back over connections that each break at another byte: a first
 * client, whose connection is left whole, tells how many bytes there are.
 */
async function comeBackBroken(
  prefix: string,
  clientCount: number,
  size: number,
  write: () => Promise<unknown>,
): Promise<Followed<string>[]> {
  const all = await Promise.all(Array.from({ length: clientCount + 1 }, () => proxied(prefix)));
  await Promise.all(all.map(({ proxy }) => proxy.refuse()));
  await write();
  const [whole, ...broken] = all as [Proxied, ...Proxied[]];
  const before = whole.proxy.bytesFromServer;
  await whole.proxy.accept();
  const total = await bytesUntil(whole, size, before);
  const cuts = broken.map(({ proxy }, index) => proxy.cutAfterBytes(Math.ceil(((index + 0.5) / clientCount) * total)));
  await Promise.all(broken.map(({ proxy }) => proxy.accept()));
  await Promise.all(cuts);
  return all.map(({ followed }) => followed);
}

test('a connection cut at any byte of a resume, right after `created` too, loses and repeats nothing', async () => {
  await etcd.put('cut/z');
  const all = await comeBackBroken('cut/', 40, 20, async () => {
    for (const [key, value] of entries('cut/', 20)) await etcd.put(key, value);
    await etcd.delete('cut/z');
  });
  await etcd.put('cut/y');
  for (const followed of all) {
    await followed.holds({ ...Object.fromEntries(entries('cut/', 20)), 'cut/y': '1' });
    await expectTrue(followed, 'cut/', etcd);
    expect(followed.resyncs).toEqual([]);
  }
});

test('a connection cut during a catch-up of 5000 revisions loses none of them', async () => {
  const all = await comeBackBroken('catch/', 5, 5000, () => etcd.putEach(entries('catch/', 5000)));
  for (const followed of all) {
    await followed.holds((snapshot) => snapshot.size === 5000);
    await expectTrue(followed, 'catch/', etcd);
    expect(followed.resyncs).toEqual([]);
  }
});

test('a connection reset while nothing happens is noticed, and what happened meanwhile is told', async () => {
  const { proxy, followed } = await proxied('reset/');
  proxy.cut();
  await etcd.put('reset/a');
  await followed.holds({ 'reset/a': '1' });
  expect(followed.statuses).toEqual(['pending', 'live', 'stale', 'live']);
});

test('a connection cut again and again, while one writes, loses nothing', async () => {
  const { proxy, followed } = await proxied('again/');
  const writing = etcd.putEach(entries('again/', 5000));
  for (let cut = 0; cut < 3; cut++) {
    const accepted = proxy.accepted;
    proxy.cut();
    await eventually(() => proxy.accepted > accepted);
  }
  await writing;
  await followed.holds((snapshot) => snapshot.size === 5000);
  await expectTrue(
    { ...followed, snapshots: followed.snapshots.filter((_, index) => index % 50 === 0) },
    'again/',
    etcd,
  );
});

test('after a transaction of many keys a reconnect needs no new list: any of them may be the newest', async () => {
  const { proxy, followed } = await proxied('txn/');
  await etcd.write(entries('txn/', 20));
  await followed.holds((snapshot) => snapshot.size === 20);
  const { snapshots } = followed;
  for (let cut = 0; cut < 3; cut++) {
    await followed.recovers(() => {
      proxy.cut();
    });
  }
  expect(followed.snapshots).toEqual(snapshots);
  expect(followed.resyncs).toEqual([]);
});

test('a restarted server is followed on, from where it was', async () => {
  const client = end.client(server.clientUrl);
  await etcd.put('restart/a');
  const followed = end.follow(watchPrefixState$(client, 'restart/'));
  await followed.holds({ 'restart/a': '1' });
  await server.restart();
  await etcd.put('restart/b');
  await etcd.delete('restart/a');
  await followed.holds({ 'restart/b': '1' });
  expect(followed.resyncs).toEqual([]);
  await expectTrue(followed, 'restart/', etcd);
});

test('a deleted newest key, and a reconnect: no new list', async () => {
  const { proxy, followed } = await proxied('deleted/');
  await etcd.write([
    ['deleted/a', '1'],
    ['deleted/b', '1'],
  ]);
  await etcd.put('deleted/c');
  await etcd.delete('deleted/c');
  await followed.holds({ 'deleted/a': '1', 'deleted/b': '1' });
  await followed.recovers(() => {
    proxy.cut();
  });
  await etcd.put('deleted/d');
  await followed.holds({ 'deleted/a': '1', 'deleted/b': '1', 'deleted/d': '1' });
  expect(followed.resyncs).toEqual([]);
});

test('the last snapshot stays while etcd is away: nothing is emptied', async () => {
  const { proxy, followed } = await proxied('kept/');
  await etcd.put('kept/a');
  await followed.holds({ 'kept/a': '1' });
  await proxy.refuse();
  await eventually(() => followed.last.status === 'stale' && followed.last.attempt > 2);
  const stale = followed.states.filter((state) => state.status === 'stale');
  expect(stale.map((state) => state.attempt)).toEqual(stale.map((_, index) => index + 1));
  expect(new Set(stale.map((state) => state.sinceMs)).size).toBe(1);
  expect(stale.every((state) => state.snapshot.get('kept/a') === '1')).toBe(true);
  await proxy.accept();
  await followed.becomes('live');
});
