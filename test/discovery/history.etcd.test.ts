import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Etcd3 } from 'etcd3';
import { concatMap, from, map } from 'rxjs';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import { prefixRange } from '../../src/discovery/prefix-range.ts';
import { resolveClient } from '../../src/etcd/connection.ts';
import type { Member } from '../../src/etcd/member.ts';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer, entries, expectTrue, type Followed } from './support.ts';

let server: EtcdServer;
let etcd: Gateway;
let proxy: TcpProxy;
let client: Etcd3;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd();
  etcd = gateway(server.clientUrl);
  proxy = await startProxy(server.clientPort);
  client = end.client(proxy.url);
});
afterEach(async () => {
  await end.dispose();
  await proxy.accept();
  client = end.client(proxy.url);
});
afterAll(async () => {
  await end.dispose();
  await proxy.stop();
  await server.stop();
});

/** Between the loss of contact and the list, the old snapshot was never called live. */
function expectNeverLiveInBetween(followed: Followed<string>): void {
  const stale = followed.states.findIndex(({ status }) => status === 'stale');
  const live = followed.states.slice(stale).find(({ status }) => status === 'live');
  expect(live).toMatchObject({ resync: 'history-replaced' });
}

/** Writes elsewhere until the store's revision is past `revision`. */
async function overtake(revision: number): Promise<void> {
  while ((await etcd.revision()) <= revision + 3) await etcd.put('elsewhere');
}

test('compacted while away, changed: one snapshot holds the difference, and the state says why', async () => {
  await etcd.write([
    ['c/changed', '1'],
    ['c/deleted', '1'],
    ['c/kept', '1'],
  ]);
  const followed = end.follow(watchPrefixState$(client, 'c/'));
  await followed.holds({ 'c/changed': '1', 'c/deleted': '1', 'c/kept': '1' });
  await proxy.refuse();
  await etcd.put('c/changed', '2');
  await etcd.put('c/changed', '3');
  await etcd.delete('c/deleted');
  await etcd.compact(await etcd.put('c/new'));
  await proxy.accept();
  await followed.holds({ 'c/changed': '3', 'c/kept': '1', 'c/new': '1' });
  expect(followed.snapshots.length).toBe(2);
  expect(followed.resyncs).toEqual(['compacted']);
  await etcd.put('c/new', '2');
  await followed.holds({ 'c/changed': '3', 'c/kept': '1', 'c/new': '2' });
  expect(followed.resyncs).toEqual(['compacted']);
});

test('compacted while away, unchanged: no new snapshot, and no resync', async () => {
  await etcd.write([
    ['u/a', '1'],
    ['u/b', '1'],
  ]);
  const followed = end.follow(watchPrefixState$(client, 'u/'));
  await followed.holds({ 'u/a': '1', 'u/b': '1' });
  await followed.recovers(async () => {
    await proxy.refuse();
    for (let i = 0; i < 5; i++) await etcd.put('elsewhere');
    await etcd.compact(await etcd.revision());
    await proxy.accept();
  });
  expect(followed.snapshots.length).toBe(1);
  expect(followed.resyncs).toEqual([]);
  await etcd.put('u/c');
  await followed.holds({ 'u/a': '1', 'u/b': '1', 'u/c': '1' });
});

test('compacted while away, only deleted from: noticed, though nothing newer is there', async () => {
  await etcd.write([
    ['d/a', '1'],
    ['d/b', '1'],
  ]);
  await etcd.put('d/c');
  const followed = end.follow(watchPrefixState$(client, 'd/'));
  await followed.holds({ 'd/a': '1', 'd/b': '1', 'd/c': '1' });
  await proxy.refuse();
  await etcd.compact(await etcd.delete('d/a'));
  await proxy.accept();
  await followed.holds({ 'd/b': '1', 'd/c': '1' });
  expect(followed.resyncs).toEqual(['compacted']);
});

test('compacted while away, an empty prefix: still empty, no new snapshot', async () => {
  const followed = end.follow(watchPrefixState$(client, 'nothing/'));
  await followed.holds({});
  await followed.recovers(async () => {
    await proxy.refuse();
    await etcd.compact(await etcd.put('elsewhere'));
    await proxy.accept();
  });
  expect(followed.snapshots.length).toBe(1);
});

test('compacted while watching: nothing happens', async () => {
  await etcd.put('w/a');
  const followed = end.follow(watchPrefixState$(client, 'w/'));
  await followed.holds({ 'w/a': '1' });
  await etcd.compact(await etcd.put('elsewhere'));
  await etcd.put('w/b');
  await followed.holds({ 'w/a': '1', 'w/b': '1' });
  expect(followed.statuses).toEqual(['pending', 'live']);
});

// etcd before 3.5.18 does not tell of deletions in the revision compacted at, to a watch that begins there.
test('a deletion between the list and the watch, in the very revision that is compacted at, is not lost', async () => {
  await etcd.write([
    ['between/deleted', '1'],
    ['between/kept', '1'],
  ]);
  const { connection } = resolveClient(client);
  const compactedBeforeWatch = (member: Member): Member => ({
    ...member,
    watch$: (request) =>
      from(etcd.range('between/')).pipe(
        concatMap(async (present) => {
          if ('between/deleted' in present) await etcd.compact(await etcd.delete('between/deleted'));
        }),
        concatMap(() => member.watch$(request)),
      ),
  });
  const member$ = connection.member$.pipe(
    map((state) => (state.status === 'up' ? { ...state, member: compactedBeforeWatch(state.member) } : state)),
  );
  const followed = end.follow(
    watchRange$<string>({ member$ }, prefixRange('prefix', 'between/', new Uint8Array(0)), {}),
  );
  await followed.holds({ 'between/kept': '1' });
  expect(followed.snapshots.map(({ size }) => size)).toEqual([2, 1]);
  expect(followed.resyncs).toEqual(['compacted']);
  await etcd.put('between/kept', '2');
  await followed.holds({ 'between/kept': '2' });
});

test('compacted again and again while it lists: it lists again, and is right in the end', async () => {
  await etcd.putEach(entries('l/', 3000));
  const compacting = { on: true };
  const compaction = (async () => {
    while (compacting.on) await etcd.compact(await etcd.put('l/moving')).catch(() => undefined);
  })();
  const all = [1, 2, 3, 4, 5].map(() => end.follow(watchPrefixState$(client, 'l/')));
  await new Promise((resolve) => setTimeout(resolve, 300));
  compacting.on = false;
  await compaction;
  for (const followed of all) await followed.holds((snapshot) => snapshot.size === 3001);
});

test('wiped, and the new history is shorter: listed again, and the state says that history was replaced', async () => {
  for (let i = 0; i < 10; i++) await etcd.put('elsewhere');
  await etcd.write([
    ['s/a', 'old'],
    ['s/b', 'old'],
  ]);
  const followed = end.follow(watchPrefixState$(client, 's/'));
  await followed.holds({ 's/a': 'old', 's/b': 'old' });
  const before = followed.snapshots.at(-1)?.revision as number;
  await server.wipe();
  await server.start();
  await etcd.put('s/a', 'new');
  await followed.holds({ 's/a': 'new' });
  expect(followed.resyncs).toContain('history-replaced');
  expect(followed.snapshots.at(-1)?.revision).toBeLessThan(before);
  await etcd.put('s/c');
  await followed.holds({ 's/a': 'new', 's/c': '1' });
});

test('wiped and still empty: the new emptiness is told', async () => {
  await etcd.put('e/a');
  const followed = end.follow(watchPrefixState$(client, 'e/'));
  await followed.holds({ 'e/a': '1' });
  await server.wipe();
  await server.start();
  await followed.holds({});
  expect(followed.resyncs).toEqual(['history-replaced']);
});

test('wiped, and the new history has overtaken the old: noticed all the same', async () => {
  await etcd.write([
    ['o/a', 'old'],
    ['o/b', 'old'],
  ]);
  const followed = end.follow(watchPrefixState$(client, 'o/'));
  await followed.holds({ 'o/a': 'old', 'o/b': 'old' });
  await proxy.refuse();
  const revision = await etcd.revision();
  await server.wipe();
  await server.start();
  await etcd.write([
    ['o/a', 'new'],
    ['o/b', 'new'],
  ]);
  await overtake(revision);
  await proxy.accept();
  await followed.holds({ 'o/a': 'new', 'o/b': 'new' });
  expectNeverLiveInBetween(followed);
  expect(followed.resyncs).toEqual(['history-replaced']);
  await etcd.put('o/c');
  await followed.holds({ 'o/a': 'new', 'o/b': 'new', 'o/c': '1' });
});

test('wiped and filled with the same keys at the very same revisions, one value another: noticed', async () => {
  const fill = async (last: string): Promise<number> => {
    await server.wipe();
    await server.start();
    await etcd.put('v/a');
    return etcd.put('v/b', last);
  };
  const revision = await fill('old');
  const followed = end.follow(watchPrefixState$(client, 'v/'));
  await followed.holds({ 'v/a': '1', 'v/b': 'old' });
  await proxy.refuse();
  expect(await fill('new')).toBe(revision);
  await etcd.put('elsewhere');
  await proxy.accept();
  await followed.holds({ 'v/a': '1', 'v/b': 'new' });
  expectNeverLiveInBetween(followed);
  expect(followed.resyncs).toEqual(['history-replaced']);
});

test('restored from an older backup, shorter: what came after the backup is gone here too', async () => {
  await etcd.put('r/a', 'kept');
  await server.saveBackup();
  const followed = end.follow(watchPrefixState$(client, 'r/'));
  await etcd.put('r/a', 'lost');
  await etcd.put('r/b', 'lost');
  await followed.holds({ 'r/a': 'lost', 'r/b': 'lost' });
  await server.restoreBackup();
  await followed.holds({ 'r/a': 'kept' });
  expect(followed.resyncs).toEqual(['history-replaced']);
  await etcd.put('r/c');
  await followed.holds({ 'r/a': 'kept', 'r/c': '1' });
});

test('restored from an older backup, and overtaken', async () => {
  await etcd.put('ro/a', 'kept');
  await server.saveBackup();
  const followed = end.follow(watchPrefixState$(client, 'ro/'));
  await etcd.put('ro/a', 'lost');
  await etcd.put('ro/b', 'lost');
  await followed.holds({ 'ro/a': 'lost', 'ro/b': 'lost' });
  await proxy.refuse();
  const revision = await etcd.revision();
  await server.restoreBackup();
  await etcd.put('ro/c', 'new');
  await overtake(revision);
  await proxy.accept();
  await followed.holds({ 'ro/a': 'kept', 'ro/c': 'new' });
  expectNeverLiveInBetween(followed);
  expect(followed.resyncs).toEqual(['history-replaced']);
});

test('restored from an older backup and overtaken, only a delete differs: the lost delete is undone', async () => {
  await etcd.write([
    ['rd/a', '1'],
    ['rd/b', '1'],
  ]);
  await server.saveBackup();
  const followed = end.follow(watchPrefixState$(client, 'rd/'));
  await etcd.delete('rd/a');
  await followed.holds({ 'rd/b': '1' });
  await proxy.refuse();
  const revision = await etcd.revision();
  await server.restoreBackup();
  await overtake(revision);
  await proxy.accept();
  await followed.holds({ 'rd/a': '1', 'rd/b': '1' });
  expectNeverLiveInBetween(followed);
  expect(followed.resyncs).toEqual(['history-replaced']);
});

test('restored from a backup that lost nothing of the prefix: nothing new is told', async () => {
  await etcd.put('same/a');
  const followed = end.follow(watchPrefixState$(client, 'same/'));
  await followed.holds({ 'same/a': '1' });
  await followed.recovers(() => server.saveBackup());
  await followed.recovers(() => server.restoreBackup());
  await etcd.put('same/b');
  await followed.holds({ 'same/a': '1', 'same/b': '1' });
  await expectTrue(followed, 'same/', etcd);
  expect(followed.snapshots.length).toBe(2);
});

test('restored from an older backup and overtaken, where another key was deleted instead: noticed', async () => {
  await etcd.write([
    ['rx/a', '1'],
    ['rx/b', '1'],
  ]);
  await etcd.put('rx/c');
  await server.saveBackup();
  const followed = end.follow(watchPrefixState$(client, 'rx/'));
  await etcd.delete('rx/a');
  await followed.holds({ 'rx/b': '1', 'rx/c': '1' });
  await proxy.refuse();
  const revision = await etcd.revision();
  await server.restoreBackup();
  await etcd.delete('rx/b');
  await overtake(revision);
  await proxy.accept();
  await followed.holds({ 'rx/a': '1', 'rx/c': '1' });
});
