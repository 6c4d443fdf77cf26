import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SnapshotEntry } from '../../src/discovery/snapshot-entry.ts';
import type { WireEntry } from '../../src/etcd/member.ts';

const lease64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const wireEntry = (lease: bigint, modRevision: number): WireEntry => ({
  key: 'k',
  value: new Uint8Array(0),
  createRevision: 1,
  modRevision,
  lease: String(lease),
});

const withHalves = (lease: bigint, modRevision: number): WireEntry => ({
  ...wireEntry(lease, modRevision),
  leaseHigh: Number(lease >> 32n),
  leaseLow: Number(BigInt.asIntN(32, lease)),
});

test('two entries are the same write when revision and lease are, whether the lease came as text or as halves', () => {
  fc.assert(
    fc.property(lease64, fc.integer({ min: 0, max: 63 }), (lease, bit) => {
      const entry = SnapshotEntry.of('v', withHalves(lease, 7));
      expect(entry.isSameWrite(SnapshotEntry.of(undefined, wireEntry(lease, 7)))).toBe(true);
      expect(entry.withValue(1).isSameWrite(entry)).toBe(true);
      const other = BigInt.asIntN(64, lease ^ (1n << BigInt(bit)));
      expect(entry.isSameWrite(SnapshotEntry.of('v', wireEntry(other, 7)))).toBe(false);
      expect(entry.isSameWrite(SnapshotEntry.of('v', withHalves(other, 7)))).toBe(false);
      expect(entry.isSameWrite(SnapshotEntry.of('v', wireEntry(lease, 8)))).toBe(false);
    }),
  );
});

test('an entry that etcd never held is of no revision and no lease', () => {
  expect(new SnapshotEntry('v').isSameWrite(SnapshotEntry.of('v', wireEntry(0n, 0)))).toBe(true);
});
