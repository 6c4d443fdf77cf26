import { Etcd3 } from 'etcd3';
import { expect, test } from 'vitest';
import { register$, type RegistrationState } from '../../src/index.ts';
import { startCluster } from '../support/etcd-cluster.ts';
import { eventually } from '../support/eventually.ts';

test('the connected member freezes, with the default TTL: another one renews the lease in time, and nothing changes', async () => {
  const cluster = await startCluster();
  const etcd = new Etcd3({ hosts: cluster.clientUrls });
  const states: RegistrationState[] = [];
  const subscription = register$(etcd, 'freeze/a', 'here').subscribe((state) => states.push(state));
  try {
    await eventually(() => states.at(-1)?.status === 'registered');
    // Each registration watches its own key.
    const connected = await eventually(async () => {
      const counts = await Promise.all(
        cluster.members.map(async (member) => (await member.metrics())('etcd_debugging_mvcc_watcher_total')),
      );
      return cluster.members[counts.findIndex((count) => count > 0)];
    });
    connected.pause();
    await eventually(() => states.at(-1)?.status !== 'registered', { what: 'the silence noticed' });
    await eventually(() => states.at(-1)?.status === 'registered', { what: 'registered again' });
    connected.resume();
  } finally {
    subscription.unsubscribe();
    etcd.close();
    await cluster.stop();
  }
  expect(states.map(({ status }) => status)).not.toContain('lost');
  const leases = new Set(states.flatMap((state) => (state.status === 'registered' ? [state.leaseId] : [])));
  expect(leases.size).toBe(1);
});
