import { MemoryEtcd, type EtcdVersion } from 'rx-etcd/testing';
import { startEtcd } from '../../support/etcd-server.ts';
import { RawClient } from './raw-client.ts';
import { runSeed } from './run-seed.ts';

/** Runs seeds on a real etcd and on one in memory; throws where they differ. Returns the real one's version. */
export async function runSeeds(first: number, count: number, steps: number): Promise<string> {
  const server = await startEtcd();
  const real = new RawClient(server.clientUrl);
  try {
    const status = await real.call('Status', {});
    const version = 'version' in status ? status.version : '';
    // The test's server has a short heartbeat, and so a small minimum.
    await using etcd = await MemoryEtcd.start({ emulate: version.slice(0, 3) as EtcdVersion, minTtlSeconds: 1 });
    const memory = new RawClient(etcd.hosts[0]!);
    const isSynced = async (): Promise<boolean> =>
      (await server.metrics())('etcd_debugging_mvcc_slow_watcher_total') === 0;
    for (let seed = first; seed < first + count; seed++) await runSeed({ real, memory, isSynced }, seed, steps);
    memory.close();
    return version;
  } finally {
    real.close();
    await server.stop();
  }
}
