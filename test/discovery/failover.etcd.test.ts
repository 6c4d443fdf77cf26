import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { watchPrefixState$ } from '../../src/index.ts';
import { startCluster, type EtcdCluster } from '../support/etcd-cluster.ts';
import type { EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { gateway } from '../support/gateway.ts';
import { disposer, type Followed } from './support.ts';

let cluster: EtcdCluster;
const end = disposer();

beforeAll(async () => {
  cluster = await startCluster();
});
afterEach(async () => {
  await end.dispose();
  for (const [index, member] of cluster.members.entries()) {
    cluster.heal(index);
    if (!member.running) await member.start();
    else member.resume();
  }
  await cluster.waitHealthy();
  await cluster.leader();
});
afterAll(() => cluster.stop());

/** Writes through whichever member takes it. */
async function put(key: string, value = '1', except?: number): Promise<void> {
  await eventually(async () => {
    for (const [index, member] of cluster.members.entries()) {
      if (index === except || !member.running) continue;
      const revision = await gateway(member.clientUrl)
        .put(key, value)
        .catch(() => 0);
      if (revision > 0) return revision;
    }
    return undefined;
  });
}

async function follow(prefix: string): Promise<{ readonly followed: Followed<string>; readonly connected: number }> {
  const followed = end.follow(watchPrefixState$(end.client(cluster.clientUrls), prefix));
  await followed.becomes('live');
  const connected = await eventually(async () => {
    const counts = await Promise.all(cluster.members.map(watchers));
    const index = counts.findIndex((count) => count > 0);
    return index >= 0 ? { index } : undefined;
  });
  return { followed, connected: connected.index };
}

async function watchers(member: EtcdServer): Promise<number> {
  return (await member.metrics())('etcd_debugging_mvcc_watcher_total');
}

function memberAt(index: number): EtcdServer {
  return cluster.members[index] as EtcdServer;
}

test('the connected member is killed: another one serves', async () => {
  const { followed, connected } = await follow('killed/');
  await memberAt(connected).kill();
  await put('killed/a');
  await followed.holds({ 'killed/a': '1' }, 8000);
  expect(followed.resyncs).toEqual([]);
});

test('the connected member freezes: another one serves, within the bound', async () => {
  const { followed, connected } = await follow('frozen/');
  memberAt(connected).pause();
  await put('frozen/a', '1', connected);
  await followed.holds({ 'frozen/a': '1' }, 25_000);
  expect(followed.resyncs).toEqual([]);
});

test('the connected member is cut off from its peers and loses its quorum: another one serves', async () => {
  const { followed, connected } = await follow('cutoff/');
  cluster.partition(connected);
  await put('cutoff/a', '1', connected);
  await followed.holds({ 'cutoff/a': '1' }, 20_000);
  expect(followed.resyncs).toEqual([]);
});

test('a single member that loses its quorum says so: stale, not silent; live again with the quorum', async () => {
  const followed = end.follow(watchPrefixState$(end.client(memberAt(0).clientUrl), 'quorum/'));
  await followed.becomes('live');
  cluster.partition(0);
  await followed.becomes('stale', 15_000);
  await put('quorum/a', '1', 0);
  cluster.heal(0);
  await followed.holds({ 'quorum/a': '1' }, 15_000);
  expect(followed.resyncs).toEqual([]);
});

test('the leader is killed: nothing is lost', async () => {
  const { followed } = await follow('leader/');
  await memberAt(await cluster.leader()).kill();
  await put('leader/a');
  await followed.holds({ 'leader/a': '1' }, 15_000);
  expect(followed.resyncs).toEqual([]);
});

test('the quorum is lost and comes back: the snapshot stays meanwhile, and goes on', async () => {
  const { followed, connected } = await follow('lost/');
  await put('lost/a');
  await followed.holds({ 'lost/a': '1' });
  const others = [0, 1, 2].filter((index) => index !== connected);
  for (const index of others) await memberAt(index).kill();
  await followed.becomes('stale', 15_000);
  for (const index of others) void memberAt(index).start();
  await cluster.leader();
  await followed.becomes('live', 15_000);
  await put('lost/b');
  await followed.holds({ 'lost/a': '1', 'lost/b': '1' });
  expect(
    followed.snapshots.every(
      (snapshot) => snapshot.size >= Math.min(1, snapshot.revision - 1) || snapshot === followed.snapshots[0],
    ),
  ).toBe(true);
  expect(followed.resyncs).toEqual([]);
});
