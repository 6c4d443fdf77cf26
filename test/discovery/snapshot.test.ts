import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SnapshotEntry } from '../../src/discovery/snapshot-entry.ts';
import { Snapshot, type EntryChange } from '../../src/discovery/snapshot.ts';
import { compareKeys, encodeKey } from '../../src/etcd/keys.ts';

type Entries = Map<string, number>;

// Few keys, so that changes meet; some of them where the order of UTF-16 is not the order of the bytes.
const narrowKey = fc.integer({ min: 0, max: 400 }).map((n) => `k${n}`);
const wideKey = fc.constantFrom(
  '\u{1F600}',
  '\uFF5E',
  '\uD7FF',
  '\uE000',
  '\uDC80',
  '\uDCFF\uDCFE',
  'k1\u{10FFFF}',
  '',
);
const anyKey = fc.oneof({ weight: 60, arbitrary: narrowKey }, { weight: 1, arbitrary: wideKey });

const changeSet = (key: fc.Arbitrary<string>): fc.Arbitrary<[string, number | undefined][]> =>
  fc.array(fc.tuple(key, fc.option(fc.nat(3), { nil: undefined })), { maxLength: 60 });

const sorted = (entries: Entries): [string, number][] =>
  [...entries].sort(([a], [b]) => Buffer.compare(encodeKey(a), encodeKey(b)));

function toChanges(set: readonly (readonly [string, number | undefined])[], revision: number): EntryChange<number>[] {
  return set.map(([key, value]) => [key, value === undefined ? undefined : new SnapshotEntry(value, revision)]);
}

for (const [name, key] of [
  ['ordinary keys', narrowKey],
  ['keys of every order', anyKey],
] as const) {
  test(`old snapshots stay true and differences are exact, whatever happens after: ${name}`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600 }), fc.array(changeSet(key), { maxLength: 12 }), (initial, sets) => {
        const model: Entries = new Map();
        for (let i = 0; i < initial; i++) model.set(`k${i}`, i);
        let snapshot = Snapshot.of(model);
        const history: { snapshot: Snapshot<number>; entries: Entries }[] = [{ snapshot, entries: new Map(model) }];
        sets.forEach((set, index) => {
          snapshot = Snapshot.change(snapshot, toChanges(set, index + 1), index + 1);
          for (const [changed, value] of set) {
            if (value === undefined) model.delete(changed);
            else model.set(changed, value);
          }
          history.push({ snapshot, entries: new Map(model) });
        });
        for (const { snapshot: old, entries } of history) {
          expect([...old]).toEqual(sorted(entries));
          expect(old.size).toBe(entries.size);
        }
        for (const [index, a] of history.entries()) {
          for (const b of [history[0], history[index + 1], history.at(-1)]) {
            if (b === undefined) continue;
            const found: string[] = [];
            const after = new Map(a.entries);
            Snapshot.diff(a.snapshot, b.snapshot, (changed, before, now) => {
              found.push(changed);
              expect(before?.value).toBe(a.entries.get(changed));
              expect(now?.value).toBe(b.entries.get(changed));
              if (now === undefined) after.delete(changed);
              else after.set(changed, now.value);
            });
            expect(after).toEqual(b.entries);
            expect(found).toEqual([...new Set(found)].sort(compareKeys));
          }
        }
      }),
      { numRuns: 25 },
    );
  });
}

test('entryAfter goes through all keys in order, the empty key included', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyKey, { maxLength: 50 }), (keys) => {
      const snapshot = Snapshot.of(keys.map((key): [string, number] => [key, 1]));
      const seen: string[] = [];
      for (let next = snapshot.entryAfter(undefined); next !== undefined; next = snapshot.entryAfter(next[0]))
        seen.push(next[0]);
      expect(seen).toEqual([...snapshot.keys()]);
      expect(seen).toHaveLength(keys.length);
    }),
  );
});

test('a string that is no key of etcd is absent, and asking for it does not throw', () => {
  const snapshot = Snapshot.of([
    ['\u{1F600}', 1],
    ['a', 2],
  ]);
  expect(snapshot.get('\uD800')).toBeUndefined();
  expect(snapshot.has('a\uDC00')).toBe(false);
});
