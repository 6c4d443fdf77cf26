import { describe, expect, test } from 'vitest';
import type { Codec } from '../../src/codecs/codec.ts';
import { json } from '../../src/codecs/json.ts';
import { text } from '../../src/codecs/text.ts';
import {
  applyEvents,
  isContinuation,
  keepUnchanged,
  matches,
  newList,
  type RangeContents,
} from '../../src/discovery/range-contents.ts';
import type { WireEntry } from '../../src/etcd/member.ts';

const entry = (key: string, value: string, modRevision: number, lease = '0'): WireEntry => ({
  key,
  value: Buffer.from(value),
  createRevision: modRevision,
  modRevision,
  lease,
});

function listed<T>(entries: readonly WireEntry[], revision: number, codec: Codec<T>): RangeContents<T> {
  const list = newList(codec);
  list.add(entries, revision);
  return list.done();
}

const readOnly: Codec<unknown> = {
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown,
  encode: () => {
    throw new Error('for reading alone');
  },
};

test('a codec that cannot write does not make the same history look like another one', () => {
  const host = entry('a', '{"host":"10.0.0.7"}', 7);
  const contents = listed([host], 9, readOnly);
  expect(matches(contents, { count: 1, newest: host, revision: 9 })).toBe(true);
  expect(matches(contents, { count: 1, newest: entry('a', '{"host":"10.0.0.8"}', 7), revision: 9 })).toBe(false);
  const again = listed([host], 12, readOnly);
  expect(keepUnchanged(contents, again).snapshot).toBe(contents.snapshot);
});

test('JSON nested a hundred thousand deep is held and compared: it overflowed the stack after a reconnect', () => {
  const deep = entry('a', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 7);
  for (const codec of [json(), readOnly]) {
    const contents = listed([deep, entry('b', '"good"', 5)], 9, codec);
    expect(contents.snapshot.size).toBe(2);
    expect(matches(contents, { count: 2, newest: deep, revision: 9 })).toBe(true);
    expect(matches(contents, { count: 2, newest: { ...deep, value: Buffer.from('[]') }, revision: 9 })).toBe(false);
    expect(keepUnchanged(contents, listed([deep, entry('b', '"good"', 5)], 12, codec)).snapshot).toBe(
      contents.snapshot,
    );
  }
});

test('values are never encoded to be compared: a codec of another spelling is asked for nothing', () => {
  let encoded = 0;
  const codec: Codec<unknown> = { decode: readOnly.decode, encode: () => Buffer.from(String(encoded++)) };
  const host = entry('a', '{"host": "10.0.0.7"}', 7);
  const contents = listed([host], 9, codec);
  expect(matches(contents, { count: 1, newest: host, revision: 9 })).toBe(true);
  const other = listed([entry('a', '{"host": "10.0.0.8"}', 7)], 9, codec);
  expect(keepUnchanged(contents, other).snapshot.get('a')).toEqual({ host: '10.0.0.8' });
  expect(encoded).toBe(0);
});

test('a rejected or skipped value of other bytes is seen, too, and the same one is not told again', () => {
  const codec: Codec<string> = {
    encode: () => Buffer.from(''),
    decode: (bytes) => {
      if (bytes.length > 2) return undefined;
      throw new Error('never');
    },
  };
  const [bad, none] = [entry('bad', 'x', 7), entry('none', 'skip', 6)];
  const contents = listed([bad, none], 9, codec);
  expect(matches(contents, { count: 2, newest: bad, revision: 9 })).toBe(true);
  expect(matches(contents, { count: 2, newest: { ...bad, value: Buffer.from('y') }, revision: 9 })).toBe(false);
  expect(keepUnchanged(contents, listed([bad, none], 9, codec))).toMatchObject({
    rejected: contents.rejected,
    skipped: contents.skipped,
  });
});

test('the reason for a rejected value does not repeat a key of a megabyte', () => {
  const contents = listed([entry('k'.repeat(1_000_000), '{', 1)], 1, json());
  expect([...contents.rejected.values()][0]?.message.length).toBeLessThan(500);
});

test.each([
  undefined,
  null,
  Symbol('s'),
  Object.create(null),
  { toString: () => 7n },
  Object.assign(new Error(), { message: {} }),
])('a codec may throw anything (%#): the key is named with a reason, the others stay', (thrown) => {
  const codec: Codec<string> = {
    encode: (value) => Buffer.from(value),
    decode: (bytes) => {
      const value = Buffer.from(bytes).toString();
      if (value === 'bad') throw thrown;
      return value;
    },
  };
  const contents = listed([entry('a', 'bad', 1), entry('b', 'good', 2)], 2, codec);
  expect([...contents.snapshot]).toEqual([['b', 'good']]);
  expect([...contents.rejected.values()]).toMatchObject([{ code: 'decode-failed' }]);
  const cured = applyEvents(contents, [{ type: 'put', ...entry('a', 'cured', 3) }], codec);
  expect(cured.rejected.size).toBe(0);
  expect([...cured.snapshot.keys()]).toEqual(['a', 'b']);
});

test('pages of a list in any order, even with a key twice, make the same contents', () => {
  const list = newList<unknown>(json());
  list.add([entry('b', '1', 1), entry('a', '1', 2)], 7);
  list.add([entry('\u{10000}', '1', 3), entry('\uffee', '1', 4), entry('a', '2', 5)], 7);
  expect([...list.done().snapshot]).toEqual([
    ['a', 2],
    ['b', 1],
    ['\uffee', 1],
    ['\u{10000}', 1],
  ]);
});

test('events of one message may put, spoil and delete the same key: the last word counts', () => {
  const codec: Codec<unknown> = json();
  const start = listed([entry('a', '1', 1), entry('b', '1', 1)], 1, codec);
  const after = applyEvents(
    start,
    [
      { type: 'put', ...entry('a', '{', 2) },
      { type: 'put', ...entry('a', '2', 3) },
      { type: 'put', ...entry('b', '3', 3) },
      { type: 'delete', ...entry('b', '', 4) },
      { type: 'put', ...entry('c', '1', 4) },
      { type: 'put', ...entry('c', '{', 5) },
    ],
    codec,
  );
  expect([...after.snapshot]).toEqual([['a', 2]]);
  expect([...after.rejected.keys()]).toEqual(['c']);
  expect(after).toMatchObject({ position: 5, snapshot: { revision: 5 } });
  expect(start.snapshot.size).toBe(2);
});

describe('a list after the history was compacted away', () => {
  const known = listed([entry('a', '1', 3), entry('b', '1', 5)], 7, text());

  test.each([
    ['nothing new', [entry('a', '1', 3), entry('b', '1', 5)], 7, true],
    ['a later write', [entry('a', '1', 3), entry('b', '2', 8)], 8, true],
    ['a later deletion', [entry('a', '1', 3)], 8, true],
    ['a key missing at the very same revision', [entry('a', '1', 3)], 7, false],
    ['a key more at the very same revision', [entry('a', '1', 3), entry('b', '1', 5), entry('c', '1', 6)], 7, false],
    ['another value at the very same revision', [entry('a', '2', 3), entry('b', '1', 5)], 9, false],
    ['a write that was never told', [entry('a', '1', 4), entry('b', '1', 5)], 9, false],
    ['another lease on the same write', [entry('a', '1', 3, '9'), entry('b', '1', 5)], 9, false],
    ['a lower revision', [entry('a', '1', 3), entry('b', '1', 5)], 6, false],
  ])('%s', (_, entries, revision, continues) => {
    expect(isContinuation(known, listed(entries, revision, text()))).toBe(continues);
  });

  test('a codec that changes its mind about a value does not make it another history', () => {
    let readable = true;
    const codec: Codec<string> = {
      encode: (value) => Buffer.from(value),
      decode: (bytes) => {
        if (!readable) throw new Error('not now');
        return Buffer.from(bytes).toString();
      },
    };
    const before = listed([entry('a', '1', 3)], 7, codec);
    readable = false;
    expect(isContinuation(before, listed([entry('a', '1', 3)], 7, codec))).toBe(true);
  });
});

describe('the keys of an answer', () => {
  const contents = listed([entry('a', '1', 3, '70'), entry('b', '1', 5, '71')], 7, text());
  const newest = entry('b', '1', 5, '71');
  const answer = (keys: WireEntry[], latest = newest): boolean =>
    matches(contents, { count: 2, newest: latest, revision: 7, keys });

  test('etcd 3.7 leaves the leases of keys out: that is no other history', () => {
    expect(answer([entry('a', '', 3), entry('b', '', 5)])).toBe(true);
  });

  test.each([
    ['another lease', [entry('a', '', 3, '72'), entry('b', '', 5, '71')]],
    ['a lease that is gone from one of two', [entry('a', '', 3), entry('b', '', 5, '71')]],
    ['without leases, another revision', [entry('a', '', 4), entry('b', '', 5)]],
    ['a key twice', [entry('b', '', 5, '71'), entry('b', '', 5, '71')]],
    ['fewer keys than counted', [entry('b', '', 5, '71')]],
  ])('%s is another history', (_, keys) => {
    expect(answer(keys)).toBe(false);
  });

  test('the newest entry comes whole: without its lease it is another one', () => {
    expect(answer([entry('a', '', 3), entry('b', '', 5)], entry('b', '1', 5))).toBe(false);
  });

  test('a count above zero without a newest entry proves nothing', () => {
    expect(matches(contents, { count: 2, newest: undefined, revision: 7 })).toBe(false);
  });
});
