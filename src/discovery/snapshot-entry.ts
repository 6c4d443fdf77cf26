import type { WireEntry } from '../etcd/member.ts';

/**
 * What a snapshot keeps of a key. Replaced, never changed, so identity tells whether anything happened.
 *
 * It takes as few objects as can be, because there are as many as keys, and the garbage collector copies each that lives:
 * the lease is two halves and no text. Made by a constructor, not as a literal: see the nodes of the tree.
 */
export class SnapshotEntry<T> {
  readonly value: T;
  /** 0 for one that etcd never held. */
  readonly modRevision: number;
  /** The lease as two signed 32-bit halves: 0 and 0 for none. */
  readonly leaseHigh: number;
  readonly leaseLow: number;

  constructor(value: T, modRevision: number = 0, leaseHigh: number = 0, leaseLow: number = 0) {
    this.value = value;
    this.modRevision = modRevision;
    this.leaseHigh = leaseHigh;
    this.leaseLow = leaseLow;
  }

  /** An entry of etcd's, with the value that was made of it. */
  static of<T>(value: T, written: WireEntry): SnapshotEntry<T> {
    const { modRevision, leaseHigh, leaseLow } = written;
    if (leaseHigh !== undefined && leaseLow !== undefined) {
      return new SnapshotEntry(value, modRevision, leaseHigh, leaseLow);
    }
    const lease = BigInt(written.lease);
    return new SnapshotEntry(value, modRevision, Number(lease >> 32n), Number(BigInt.asIntN(32, lease)));
  }

  /** The same write with another value. */
  withValue<V>(value: V): SnapshotEntry<V> {
    return new SnapshotEntry(value, this.modRevision, this.leaseHigh, this.leaseLow);
  }

  /** Whether both were written at the same revision, under the same lease. */
  isSameWrite(other: SnapshotEntry<unknown>): boolean {
    return (
      this.modRevision === other.modRevision && this.leaseHigh === other.leaseHigh && this.leaseLow === other.leaseLow
    );
  }
}
