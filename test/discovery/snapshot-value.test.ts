import assert from 'node:assert';
import { inspect, isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { SnapshotEntry } from '../../src/discovery/snapshot-entry.ts';
import { Snapshot, type EntryChange } from '../../src/discovery/snapshot.ts';

const numbers = (to: number): [string, number][] => Array.from({ length: to }, (_, n) => [`k${n}`, n]);

test('two snapshots are deeply equal when their entries are, however each was made', () => {
  const listed = Snapshot.of(numbers(200), 7);
  const changes = numbers(200).reverse();
  const made = Snapshot.change(
    Snapshot.of<number>([['gone', 1]]),
    [['gone', undefined], ...changes.map(([key, n]): EntryChange<number> => [key, new SnapshotEntry(n, 5)])],
    7,
  );
  assert.deepStrictEqual(made, listed);
  expect(isDeepStrictEqual({ snapshot: made }, { snapshot: listed })).toBe(true);
  expect(made).toEqual(listed);
  expect(made).toStrictEqual(listed);
});

test('two snapshots of one revision with other entries differ: all comparisons passed, whatever they held', () => {
  const one = Snapshot.of([['a', { host: 1 }]], 7);
  for (const other of [
    Snapshot.of([['a', { host: 2 }]], 7),
    Snapshot.of([['b', { host: 1 }]], 7),
    Snapshot.of<{ host: number }>([], 7),
    Snapshot.of([['a', { host: 1 }]], 8),
  ]) {
    expect(() => assert.deepStrictEqual(one, other)).toThrow(assert.AssertionError);
    expect(() => assert.deepEqual(one, other)).toThrow(assert.AssertionError);
    expect(isDeepStrictEqual(one, other)).toBe(false);
    expect(one).not.toStrictEqual(other);
    if (one.revision === other.revision) expect(one).not.toEqual(other);
  }
});

test('it prints like a Map, alone and in a state, and no more of it than one can read', () => {
  expect(inspect(Snapshot.of([['a', '10.0.0.7:80']], 7))).toBe(`Snapshot(1) [revision 7] { 'a' => '10.0.0.7:80' }`);
  expect(inspect(Snapshot.of([]))).toBe('Snapshot(0) [revision 0] {}');
  expect(inspect({ status: 'live', snapshot: Snapshot.of([['a', 1]], 7) })).toContain(`{ 'a' => 1 }`);
  const large = inspect(Snapshot.of(numbers(100_000), 7));
  expect(large).toMatch(/^Snapshot\(100000\) \[revision 7\] \{/);
  expect(large).toContain('99900 more');
  expect(large.length).toBeLessThan(5000);
  const controls = inspect(Snapshot.of([['\u001b[2J', '\u009b31m']]));
  expect([controls.includes('\u001b'), controls.includes('\u009b')]).toEqual([false, false]);
});

test('in JSON it is its entries, and can be made of them again', () => {
  const snapshot = Snapshot.of([
    ['10', 1],
    ['2', 2],
    ['__proto__', 3],
  ]);
  const text = JSON.stringify({ snapshot });
  expect(text).toBe('{"snapshot":[["10",1],["2",2],["__proto__",3]]}');
  expect(Snapshot.of((JSON.parse(text) as { snapshot: [string, number][] }).snapshot)).toEqual(snapshot);
});

test('a clone is refused, and not emptied in silence', () => {
  expect(() => structuredClone(Snapshot.of([['a', 1]]))).toThrow('send [...snapshot] instead');
  expect(() => structuredClone({ snapshot: Snapshot.of([]) })).toThrow('could not be cloned');
});

test('entry() gives what etcd keeps with a key', () => {
  const written = {
    key: 'a',
    value: Buffer.from('v'),
    createRevision: 3,
    modRevision: 5,
    lease: '7587863094523847945',
  };
  const snapshot = Snapshot.change(Snapshot.of<string>([]), [['a', SnapshotEntry.ofText('v', written)]], 5);
  expect(snapshot.entry('a')).toEqual({
    key: 'a',
    value: 'v',
    modRevision: 5,
    createRevision: 3,
    lease: '7587863094523847945',
  });
  expect(snapshot.entry('b')).toBeUndefined();
  expect(Snapshot.of([['a', 1]]).entry('a')).toMatchObject({ modRevision: 0, createRevision: 0, lease: '0' });
});
