import type { ServerClock } from './clock.ts';
import { etcdError } from './etcd-errors.ts';
import { Leases } from './leases.ts';
import { MvccStore } from './mvcc-store.ts';
import type { Behavior } from './versions.ts';
import { WatchHub } from './watch-hub.ts';

/** The alarms of etcd, by their numbers on the wire. */
const NO_SPACE = 1;
const CORRUPT = 2;

/** What all members share: no consensus is simulated, they answer from one store. */
export class EtcdCore {
  readonly clock: ServerClock;
  readonly behavior: Behavior;
  readonly store: MvccStore;
  readonly leases: Leases;
  readonly hub: WatchHub;
  /** As `member:alarm`, both as on the wire. */
  readonly alarms: Set<string> = new Set<string>();
  readonly clusterId: bigint = 0x0cdf_8181_94e3_a8c3n;
  raftTerm = 2;
  /** Counts what was written, as etcd's log does. */
  raftIndex = 4;

  constructor(clock: ServerClock, behavior: Behavior, minTtlSeconds: number) {
    this.clock = clock;
    this.behavior = behavior;
    const leases = new Leases(clock, minTtlSeconds, (id) => {
      this.revoke(id);
    });
    this.leases = leases;
    this.store = new MvccStore(
      {
        attached: (key, lease, before) => {
          leases.attach(key, lease, before);
        },
        committed: () => {
          this.raftIndex += 1;
          this.hub.changed();
        },
      },
      behavior.losesDeletionAtCompaction,
    );
    this.hub = new WatchHub(this.store, clock);
  }

  /** Ends a lease and deletes its keys in one revision. Throws etcd's error when there is no such lease. */
  revoke(id: bigint): void {
    const keys = this.leases.remove(id);
    this.store.write((transaction) => {
      for (const key of keys) transaction.delete({ start: key, end: undefined });
    });
  }

  hasAlarm(alarm: number): boolean {
    return [...this.alarms].some((each) => each.endsWith(`:${alarm}`));
  }

  /** Throws when the database is full, or broken. */
  checkSpace(): void {
    if (this.hasAlarm(CORRUPT)) throw etcdError('corrupt');
    if (this.hasAlarm(NO_SPACE)) throw etcdError('noSpace');
  }

  /** Ends all timers. */
  stop(): void {
    this.hub.clear();
    this.leases.clear();
  }
}
