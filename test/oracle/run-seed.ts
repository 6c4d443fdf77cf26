import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { gateway } from '../support/gateway.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { History, type Write } from './history.ts';
import { oracleWatcher } from './watcher.ts';

export interface SeedResult {
  readonly snapshots: number;
  readonly actions: readonly string[];
}

const KEYS = [
  'p/a',
  'p/b',
  'p/c',
  'p/d',
  'p/x/1',
  'p/x/2',
  'p/x/\u{1F600}',
  'p/x/\uFFFD',
  'p/小王',
  'q/1',
  'q/2',
  'q/3',
  'p',
  'r',
];

/**
 * One run of the oracle: a single writer and random faults against one etcd, watchers of several prefixes
 * behind a proxy; then every snapshot they were given is compared with what etcd held at its revision.
 * The seed decides the actions; how they meet the network is chance, so a failing seed may want several runs.
 */
export async function runSeed(seed: number, actionCount = 14): Promise<SeedResult> {
  const random = seededRandom(seed);
  const int = (below: number): number => Math.floor(random() * below);
  const pick = <T>(items: readonly T[]): T => items[int(items.length)] as T;

  const server = await startEtcd();
  const proxy = await startProxy(server.clientPort);
  const etcd = new Etcd3({ hosts: [proxy.url] });
  const { revision, compact, ...store } = gateway(server.clientUrl);
  const write = (writes: readonly Write[]): Promise<number> =>
    store.write(writes.map(({ key, value }) => [key, value]));
  const history = new History();
  const actions: string[] = [];
  let backup: number | undefined;

  const watchers = [
    oracleWatcher('all keys', watchPrefixState$(etcd, ''), ''),
    oracleWatcher('p/', watchPrefixState$(etcd, 'p/'), 'p/'),
    oracleWatcher('q/, mostly idle', watchPrefixState$(etcd, 'q/'), 'q/'),
    oracleWatcher('x/ in the namespace p/', watchPrefixState$(etcd.namespace('p/'), 'x/'), 'p/x/', (key) => `p/${key}`),
  ];

  const put = (size = 8): Write => ({
    key: pick(KEYS),
    value: `${seed}-${history.era}-${history.revision}-${int(1e9)}`.padEnd(size, '.'),
  });
  const transaction = (): Write[] => {
    const present = history.keys();
    const writes = new Map<string, Write>();
    for (let i = int(5) + 1; i > 0; i--) {
      const one = random() < 0.3 && present.length > 0 ? { key: pick(present), value: undefined } : put();
      writes.set(one.key, one);
    }
    return [...writes.values()];
  };
  /** One transaction; when its outcome is not known (the server was killed), the revision tells. */
  const commit = async (writes: readonly Write[]): Promise<void> => {
    const expected = history.revision + 1;
    try {
      history.record(await write(writes), writes);
    } catch {
      await server.waitHealthy();
      if ((await revision()) === expected) history.record(expected, writes);
    }
  };
  const some = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await commit(transaction());
  };
  /** Many revisions fast: in parallel, only while the server is well. */
  const burst = async (count: number, size = 8): Promise<void> => {
    const one = async (): Promise<void> => {
      const writes = [put(size)];
      history.record(await write(writes), writes);
    };
    for (let left = count; left > 0; left -= 32) await Promise.all(Array.from({ length: Math.min(32, left) }, one));
  };

  const act: Record<string, () => Promise<void>> = {
    some: () => some(10),
    'a burst': () => burst(300 + int(1200)),
    cut: async () => {
      proxy.cut();
      await some(3);
    },
    'cut in a burst': async () => {
      const writing = burst(500);
      await delay(int(80));
      proxy.cut();
      await writing;
    },
    'cut after some bytes': async () => {
      // Resolves when the budget is spent, perhaps in a later action.
      void proxy.cutAfterBytes(int(20_000));
      await burst(400);
    },
    'away for long': async () => {
      await proxy.refuse();
      await some(5 + int(10));
      await delay(int(700));
      await proxy.accept();
    },
    'away for a big backlog': async () => {
      await proxy.refuse();
      await burst(10, 600_000);
      await proxy.accept();
    },
    'away for thousands of revisions': async () => {
      await proxy.refuse();
      await burst(2500);
      await proxy.accept();
    },
    'compacted while away': async () => {
      await proxy.refuse();
      if (random() < 0.7) await some(1 + int(5));
      await compact(history.revision);
      await proxy.accept();
    },
    'compacted while watching': async () => {
      await some(2);
      await compact(history.revision - int(2));
      await some(1);
    },
    'killed and restarted while writing': async () => {
      const writing = some(6);
      await delay(int(20));
      await server.kill();
      await server.start();
      await writing;
    },
    frozen: async () => {
      server.pause();
      await delay(int(500));
      server.resume();
      await some(2);
    },
    'black-holed, then cut': async () => {
      proxy.blackhole(pick([undefined, 'server', 'client']));
      await some(4);
      await delay(int(200));
      proxy.cut();
      proxy.heal();
    },
    wiped: async () => {
      await server.wipe();
      await server.start();
      history.replace(1);
      backup = undefined;
      if (random() < 0.6) await some(1 + int(15));
    },
    'wiped and overtaken while away': async () => {
      await proxy.refuse();
      const before = history.revision;
      await server.wipe();
      await server.start();
      history.replace(1);
      backup = undefined;
      await burst(Math.min(before, 1500) + 5 - (history.revision - 1));
      await proxy.accept();
    },
    'backed up': async () => {
      await server.saveBackup();
      backup = history.revision;
    },
    'restored from the backup': async () => {
      if (backup === undefined) return;
      if (random() < 0.5) await proxy.refuse();
      await server.restoreBackup();
      history.replace(backup);
      await some(int(12));
      await proxy.accept();
    },
    'subscribed again': async () => {
      const watcher = pick(watchers);
      watcher.unsubscribe();
      await some(int(3));
      watcher.subscribe();
    },
  };

  try {
    await some(int(10));
    for (const watcher of watchers) watcher.subscribe();
    for (let i = 0; i < actionCount; i++) {
      const name = pick(Object.keys(act));
      actions.push(name);
      await act[name]?.();
      if (random() < 0.5) await delay(int(250));
    }
    await commit([
      { key: 'p/x/end', value: 'end' },
      { key: 'q/end', value: 'end' },
    ]);
    const { era, revision: end } = history;
    for (const watcher of watchers) {
      await eventually(
        () => {
          if (watcher.failure !== undefined) throw watcher.failure as Error;
          return watcher.last?.status === 'live' && watcher.last.snapshot.revision === end;
        },
        {
          withinMs: 40_000,
          what:
            `the last state for ${watcher.name} (era ${era}, revision ${end}, ` +
            `has ${watcher.last?.status} ${watcher.last?.snapshot.revision})`,
        },
      );
    }
    return { actions, snapshots: watchers.reduce((sum, watcher) => sum + watcher.judge(history), 0) };
  } catch (error) {
    throw new Error(
      `seed ${seed}, after ${actions.join(', ')}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  } finally {
    for (const watcher of watchers) watcher.unsubscribe();
    etcd.close();
    await proxy.stop();
    await server.stop();
  }
}
