import { afterEach, expect, test } from 'vitest';
import { type EtcdCluster, startCluster } from './etcd-cluster.ts';
import { eventually } from './eventually.ts';

let cluster: EtcdCluster;

afterEach(() => cluster.stop());

function isHealthy(index: number): Promise<boolean> {
  return fetch(`${cluster.clientUrls[index]}/health`, { signal: AbortSignal.timeout(8000) })
    .then((answer) => answer.json())
    .then((body) => (body as { health: string }).health === 'true')
    .catch(() => false);
}

test('another member leads when the leader is killed, and the old one comes back', async () => {
  cluster = await startCluster();
  const first = await cluster.leader();
  await cluster.members[first]?.kill();
  const second = await cluster.leader();
  expect(second).not.toBe(first);
  await cluster.members[first]?.start();
  await cluster.waitHealthy();
});

test('a member cut off from its peers has no quorum, the others do, until it is healed', async () => {
  cluster = await startCluster();
  const old = await cluster.leader();
  cluster.partition(old);
  await eventually(async () => !(await isHealthy(old)), { withinMs: 20_000, what: 'the one cut off without quorum' });
  const next = await cluster.leader();
  expect(next).not.toBe(old);
  expect(await isHealthy(next)).toBe(true);
  expect(await isHealthy(old)).toBe(false);
  cluster.heal(old);
  await cluster.waitHealthy();
  expect(await isHealthy(old)).toBe(true);
});

test('two members cut off leave nobody with quorum', async () => {
  cluster = await startCluster();
  cluster.partition(0);
  cluster.partition(1);
  for (const index of [0, 1, 2]) {
    await eventually(async () => !(await isHealthy(index)), {
      withinMs: 20_000,
      what: `member ${index} without quorum`,
    });
  }
  cluster.heal(0);
  cluster.heal(1);
  await cluster.waitHealthy();
});
