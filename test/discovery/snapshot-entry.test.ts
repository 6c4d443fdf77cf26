import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SnapshotEntry } from '../../src/discovery/snapshot-entry.ts';
import { hashBytes } from '../../src/discovery/value-hash.ts';
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

test('an entry tells whether another, or an answer of etcd, has the same bytes, whatever was made of them', () => {
  const written = (value: Uint8Array): WireEntry => ({ ...wireEntry(0n, 7), value });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), fc.nat(), (bytes, others, at) => {
      const entry = SnapshotEntry.of({ made: 'of it' }, written(bytes));
      expect(entry.isSameValue(SnapshotEntry.of(undefined, written(Uint8Array.from(bytes))))).toBe(true);
      expect(entry.isValueOf(written(Uint8Array.from(bytes)))).toBe(true);
      const changed = Uint8Array.from(bytes, (byte, index) => (index === at % bytes.length ? byte ^ 1 : byte));
      for (const other of [others, changed, Uint8Array.of(...bytes, 0), bytes.subarray(1)]) {
        const same = Buffer.compare(bytes, other) === 0;
        expect(entry.isSameValue(SnapshotEntry.of(entry.value, written(other)))).toBe(same);
        expect(entry.isValueOf(written(other))).toBe(same);
      }
    }),
  );
});

test('hashes are spread: 100 000 short values, of which many differ in a digit, all have their own', () => {
  const hashes = new Set<string>();
  for (let n = 0; n < 100_000; n++) {
    const { high, low } = hashBytes(Buffer.from(`10.0.0.${n >> 4}:${8000 + (n & 15)}`));
    hashes.add(`${high}:${low}`);
    expect([high | 0, low | 0]).toEqual([high, low]);
  }
  expect(hashes.size).toBe(100_000);
});

test('an entry that etcd never held is of no revision and no lease', () => {
  expect(new SnapshotEntry('v').isSameWrite(SnapshotEntry.of('v', wireEntry(0n, 0)))).toBe(true);
});
