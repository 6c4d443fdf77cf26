import { TEXT } from '../codecs/text.ts';
import type { WireEntry } from '../etcd/member.ts';
import { hashBytes } from './value-hash.ts';

/**
 * What a snapshot keeps of a key. Replaced, never changed, so identity tells whether anything happened.
 *
 * It takes as few objects as can be: there are as many as keys, and the garbage collector copies each that lives. So
 * the lease is two halves and no text. Made by a constructor, not as a literal: see the nodes of the tree.
 */
export class SnapshotEntry<T> {
  readonly value: T;
  /** 0 for one that etcd never held. */
  readonly modRevision: number;
  readonly createRevision: number;
  /** The lease as two signed 32-bit halves: 0 and 0 for none. */
  readonly leaseHigh: number;
  readonly leaseLow: number;

  constructor(
    value: T,
    modRevision: number = 0,
    createRevision: number = 0,
    leaseHigh: number = 0,
    leaseLow: number = 0,
  ) {
    this.value = value;
    this.modRevision = modRevision;
    this.createRevision = createRevision;
    this.leaseHigh = leaseHigh;
    this.leaseLow = leaseLow;
  }

  /** An entry of etcd's whose value is its text. */
  static ofText(text: string, written: WireEntry): SnapshotEntry<string> {
    const { modRevision, createRevision, leaseHigh, leaseLow } = written;
    if (leaseHigh !== undefined && leaseLow !== undefined) {
      return new SnapshotEntry(text, modRevision, createRevision, leaseHigh, leaseLow);
    }
    const lease = BigInt(written.lease);
    return new SnapshotEntry(text, modRevision, createRevision, highHalf(lease), lowHalf(lease));
  }

  /** An entry of etcd's with what was made of its bytes. */
  static of<T>(value: T, written: WireEntry, bytes: Uint8Array = written.value): SnapshotEntry<T> {
    return new HashedEntry(value, written, bytes);
  }

  /** The lease's id in decimal, `'0'` for none. */
  get lease(): string {
    return String((BigInt(this.leaseHigh) << 32n) | BigInt(this.leaseLow >>> 0));
  }

  /** The same write with another value. */
  withValue<V>(value: V): SnapshotEntry<V> {
    return new SnapshotEntry(value, this.modRevision, this.createRevision, this.leaseHigh, this.leaseLow);
  }

  /** Whether both were written at the same revision, under the same lease. */
  isSameWrite(other: SnapshotEntry<unknown>): boolean {
    return (
      this.modRevision === other.modRevision && this.leaseHigh === other.leaseHigh && this.leaseLow === other.leaseLow
    );
  }

  /** The same for an entry as etcd gives it. */
  isWriteOf({ modRevision, lease, leaseHigh, leaseLow }: WireEntry): boolean {
    if (leaseHigh === undefined) return this.modRevision === modRevision && this.lease === lease;
    return this.modRevision === modRevision && this.leaseHigh === leaseHigh && this.leaseLow === leaseLow;
  }

  /** Whether etcd's bytes were the same. The revision does not tell: another history can have the very same one. */
  isSameValue(other: SnapshotEntry<unknown>): boolean {
    return Object.is(this.value, other.value);
  }

  /** The same for an entry as etcd gives it. */
  isValueOf(written: WireEntry): boolean {
    return this.value === textOf(written);
  }
}

/**
 * An entry whose value is not its text. Values are held and never looked into, however deep they are, and never encoded
 * again: a codec may be made for reading alone. A hash of the bytes tells whether they are the same.
 */
class HashedEntry<T> extends SnapshotEntry<T> {
  readonly hashHigh: number;
  readonly hashLow: number;

  constructor(value: T, written: WireEntry, bytes: Uint8Array) {
    const { modRevision, createRevision } = written;
    // Halves first: the text of a lease is made when it is asked for.
    const high = written.leaseHigh ?? highHalf(BigInt(written.lease));
    super(value, modRevision, createRevision, high, written.leaseLow ?? lowHalf(BigInt(written.lease)));
    const hash = hashBytes(bytes);
    this.hashHigh = hash.high;
    this.hashLow = hash.low;
  }

  override isSameValue(other: SnapshotEntry<unknown>): boolean {
    return other instanceof HashedEntry && this.hashHigh === other.hashHigh && this.hashLow === other.hashLow;
  }

  override isValueOf(written: WireEntry): boolean {
    const { high, low } = hashBytes(written.value);
    return this.hashHigh === high && this.hashLow === low;
  }
}

/** The value as text in UTF-8. */
export function textOf(written: WireEntry): string {
  return written.text ?? (TEXT.decode(written.value, written.key) as string);
}

function highHalf(lease: bigint): number {
  return Number(lease >> 32n);
}

function lowHalf(lease: bigint): number {
  return Number(BigInt.asIntN(32, lease));
}
