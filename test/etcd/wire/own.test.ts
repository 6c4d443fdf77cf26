import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KeyRange, WireEntry, WireEvent } from '../../../src/etcd/member.ts';
import { EtcdFault } from '../../../src/etcd/faults.ts';
import type { RangeResponse, WatchResponse } from '../../../src/etcd/wire/messages.ts';
import { ownFormat } from '../../../src/etcd/wire/own.ts';
import { stockMethods } from '../../support/stock-methods.ts';
import { stockFormat } from '../../support/stock-format.ts';
import { message, type Field } from '../../support/wire-writer.ts';

/** Every key is in it. */
const allKeys = (namespaceBytes: number = 0): KeyRange => ({
  key: new Uint8Array(0),
  rangeEnd: Uint8Array.of(0),
  namespaceBytes,
});

const methods = stockMethods();
const stock = stockFormat(methods);
const stockMethod = methods.leaseKeepAlive;

// Messages as lists of fields: in any order, with repetitions, and with fields nobody knows.
const int64 = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, -1n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: 0n, max: 1_000_000n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const bool = fc.constantFrom(0n, 1n, 300n);
const bytes = fc.oneof(
  fc.string({ maxLength: 40 }).map((text) => new TextEncoder().encode(text)),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
  fc.uint8Array({ maxLength: 20 }),
);
const group = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 2 }).map((parts) => ({ group: parts }));
const unknown = fc.tuple(
  fc.integer({ min: 12, max: 2 ** 29 - 1 }),
  fc.oneof(int64, bytes, group, fc.constantFrom('fixed32' as const, 'fixed64' as const)),
);

/** Any number of each field, in any order: of a field that comes twice, the last one counts. */
function fields(
  known: Record<number, fc.Arbitrary<bigint | Uint8Array>>,
  atLeast: readonly number[] = [],
): fc.Arbitrary<Buffer> {
  const one = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.oneof(
        ...Object.entries(known).map(([number, value]) => fc.tuple(fc.constant(Number(number)), value)),
      ),
    },
    { weight: 1, arbitrary: unknown },
  );
  const needed = fc.tuple(
    ...atLeast.map((number) => fc.tuple(fc.constant(number), known[number] as fc.Arbitrary<bigint | Uint8Array>)),
  );
  return fc
    .tuple(needed, fc.array(one, { maxLength: 12 }))
    .chain(([a, b]) => fc.shuffledSubarray<(typeof b)[0]>([...a, ...b], { minLength: a.length + b.length }))
    .map((list) => Buffer.concat(list.map(encodeField)));
}

function encodeField([number, value]: readonly [
  number,
  bigint | Uint8Array | { group: Uint8Array[] } | 'fixed32' | 'fixed64',
]): Buffer {
  if (value === 'fixed32') return Buffer.concat([tag(number, 5), Buffer.from('dead', 'utf8')]);
  if (value === 'fixed64') return Buffer.concat([tag(number, 1), Buffer.from('deadbeef', 'utf8')]);
  if (typeof value === 'object' && 'group' in value) {
    const inside = value.group.map((part) => message([1, part], [2, 5]));
    return Buffer.concat([tag(number, 3), ...inside, tag(number, 4)]);
  }
  return message([number, value] satisfies Field);
}

function tag(number: number, wireType: number): Buffer {
  // A varint field's bytes begin with its tag; what is wanted is the tag with another wire type.
  const varint = message([1, BigInt(number) * 8n + BigInt(wireType)]);
  return varint.subarray(1);
}

const keyValue = fields({ 1: bytes, 2: int64, 3: int64, 4: int64, 5: bytes, 6: int64 }, [1]);
// etcd3's decoder lets the second of two sub-messages replace the first; the format says that they are merged.
const event = fc
  .tuple(fields({ 1: bool }), keyValue, fc.option(keyValue, { nil: undefined }))
  .chain(([type, kv, previous]) => {
    const parts = [type, message([2, kv]), ...(previous === undefined ? [] : [message([3, previous])])];
    return fc.shuffledSubarray(parts, { minLength: parts.length });
  })
  .map((parts) => Buffer.concat(parts));
const header = fields({ 1: int64, 2: int64, 3: int64, 4: int64 });
const watchResponse = fc
  .tuple(header, fields({ 2: int64, 3: bool, 4: bool, 5: int64, 6: bytes, 7: bool, 11: event }))
  .map(([head, rest]) => Buffer.concat([message([1, head]), rest]));
const rangeResponse = fc
  .tuple(header, fields({ 2: keyValue, 3: bool, 4: int64 }))
  .map(([head, rest]) => Buffer.concat([rest, message([1, head])]));

function allOfWatch(response: WatchResponse, namespaceBytes: number): unknown {
  const { revision, watchId, created, canceled, fragment, compactRevision, cancelReason, eventCount } = response;
  const all = events(response, namespaceBytes);
  const later = all instanceof Array ? events(response, namespaceBytes, 1000) : undefined;
  return { revision, watchId, created, canceled, fragment, compactRevision, cancelReason, eventCount, all, later };
}

function events(response: WatchResponse, namespaceBytes: number, startRevision = -Infinity): unknown {
  const into: WireEvent[] = [];
  try {
    response.readEvents(allKeys(namespaceBytes), startRevision, into);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return 'refused';
  }
  return into.map((event) => ({
    ...plain(event),
    type: event.type,
    previous: event.previous === undefined ? undefined : plain(event.previous),
  }));
}

function allOfRange(response: RangeResponse, namespaceBytes: number): unknown {
  const { revision, more, count, entryCount, byteLength, firstKey, lastKey } = response;
  let entries: unknown = 'refused';
  try {
    entries = response.readEntries(allKeys(namespaceBytes)).map(plain);
  } catch (error) {
    if (!(error instanceof RangeError)) entries = (error as EtcdFault).message;
  }
  return {
    revision,
    more,
    count,
    entryCount,
    byteLength,
    keys: [firstKey, lastKey].map((key) => key && [...key]),
    entries,
  };
}

function plain({ key, value, createRevision, modRevision, lease }: WireEntry): object {
  return { key, value: [...value], createRevision, modRevision, lease };
}

describe('the same as etcd3 reads', () => {
  test('watch responses', () => {
    fc.assert(
      fc.property(watchResponse, fc.nat({ max: 3 }), (bytes, namespaceBytes) => {
        expect(allOfWatch(ownFormat.watchResponse(bytes), namespaceBytes)).toEqual(
          allOfWatch(stock.watchResponse(bytes), namespaceBytes),
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('range responses', () => {
    fc.assert(
      fc.property(rangeResponse, fc.nat({ max: 3 }), (bytes, namespaceBytes) => {
        expect(allOfRange(ownFormat.rangeResponse(bytes), namespaceBytes)).toEqual(
          allOfRange(stock.rangeResponse(bytes), namespaceBytes),
        );
      }),
      { numRuns: 2000 },
    );
  });
});

describe('renewals are written and read as by etcd3', () => {
  test('requests', () => {
    fc.assert(
      fc.property(int64, (id) => {
        const ID = String(BigInt.asIntN(64, id));
        // What they say, not how: etcd3 leaves out a zero.
        const read = (bytes: Buffer): unknown => stockMethod.requestDeserialize(bytes);
        expect(read(ownFormat.keepAliveRequest({ ID }))).toEqual({ ID });
        expect(read(stock.keepAliveRequest({ ID }))).toEqual({ ID });
      }),
    );
  });

  test('answers', () => {
    const answer = fields({ 1: fields({ 3: int64 }), 2: int64, 3: fc.bigInt({ min: 0n, max: 2n ** 53n }) });
    fc.assert(
      fc.property(answer, (bytes) => {
        expect(ownFormat.keepAliveResponse(bytes)).toEqual(stock.keepAliveResponse(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

test('a lease can be had as its text and as two halves, for any 64 bits', () => {
  fc.assert(
    fc.property(int64, (lease) => {
      const [entry] = ownFormat
        .rangeResponse(message([2, message([1, Buffer.from('k')], [6, lease])]))
        .readEntries(allKeys());
      expect(entry?.lease).toBe(String(BigInt.asIntN(64, lease)));
      expect([entry?.leaseHigh, entry?.leaseLow]).toEqual([
        Number(BigInt.asIntN(32, lease >> 32n)),
        Number(BigInt.asIntN(32, lease)),
      ]);
    }),
  );
});

test('parts of one sub-message are merged, as the format has it (etcd3 keeps the last part only)', () => {
  const merged = message([
    11,
    message([2, message([1, Buffer.from('k')], [3, 7])], [2, message([5, Buffer.from('v')])]),
  ]);
  expect(events(ownFormat.watchResponse(merged), 0)).toEqual([
    { type: 'put', key: 'k', value: [118], createRevision: 0, modRevision: 7, lease: '0', previous: undefined },
  ]);
});

test('a known field with the wire type of another is an unknown field', () => {
  expect(ownFormat.watchResponse(message([2, Buffer.from('no id')], [2, 5])).watchId).toBe(5);
});

describe('bytes that are no message end in a RangeError, and end', () => {
  const readAll = (bytes: Buffer): void => {
    for (const read of [
      () => {
        const response = ownFormat.watchResponse(bytes);
        response.readEvents(allKeys(), 0, []);
      },
      () => ownFormat.rangeResponse(bytes).readEntries(allKeys()),
      () => ownFormat.keepAliveResponse(bytes),
    ]) {
      try {
        read();
      } catch (error) {
        if (!(error instanceof EtcdFault)) expect(error).toBeInstanceOf(RangeError);
      }
    }
  };

  test('cut anywhere', () => {
    fc.assert(
      fc.property(watchResponse, fc.nat(), (bytes, at) => {
        readAll(bytes.subarray(0, at % (bytes.length + 1)));
      }),
    );
  });

  test('with any byte changed', () => {
    fc.assert(
      fc.property(fc.oneof(watchResponse, rangeResponse), fc.nat(), fc.nat({ max: 255 }), (bytes, at, byte) => {
        const changed = Buffer.from(bytes);
        if (changed.length > 0) changed[at % changed.length] = byte;
        readAll(changed);
      }),
      { numRuns: 2000 },
    );
  });

  test('random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readAll(Buffer.from(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['a varint without end', Buffer.alloc(20, 0xff)],
    ['a length beyond the message', Buffer.from([0x5a, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['an event beyond its response', message([11, Buffer.from([0x12, 0x7f])])],
    ['an event without a key', message([11, message([1, 1])])],
    ['groups in groups without end', Buffer.alloc(5000, 0x63)],
    ['a group that another one ends', Buffer.from([0x63, 0x6c])],
    ['a wire type that is none', Buffer.from([0x67])],
  ])('%s', (_, bytes) => {
    expect(() => {
      ownFormat.watchResponse(bytes).readEvents(allKeys(), 0, []);
    }).toThrow(RangeError);
  });
});

describe('a key is held against the range asked for, by its bytes', () => {
  const kv = (key: string | number[]): Buffer => message([1, Buffer.from(key as string)], [2, 1], [3, 7]);
  const range: KeyRange = { key: Buffer.from('ns/a/'), rangeEnd: Buffer.from('ns/a0'), namespaceBytes: 3 };
  const keysOf = (...keys: (string | number[])[]): string[][] =>
    [ownFormat, stock].map((format) => {
      const into: WireEvent[] = [];
      format
        .watchResponse(message(...keys.map((key) => [11, message([2, kv(key)])] as const)))
        .readEvents(range, 0, into);
      return into.map((event) => event.key);
    });

  test('events of another key are dropped, before it is decoded', () => {
    expect(keysOf('ns/b/1', 'ns/a/1', 'a/1', '', 'ns', 'ns/a', 'ns/a0', [0xff, 0xfe], 'ns/a/\uFFFF')).toEqual([
      ['a/1', 'a/\uFFFF'],
      ['a/1', 'a/\uFFFF'],
    ]);
  });

  test('what a key held before is not believed when it is that of another key', () => {
    const previous = message([2, kv('ns/a/1')], [3, kv('ns/a/2')]);
    const same = message([2, kv('ns/a/1')], [3, kv('ns/a/1')]);
    for (const format of [ownFormat, stock]) {
      const into: WireEvent[] = [];
      format.watchResponse(message([11, previous], [11, same])).readEvents(range, 0, into);
      expect(into.map((event) => event.previous?.key)).toEqual([undefined, 'a/1']);
    }
  });

  test.each([
    ['of another range', ['ns/a/1', 'ns/b/1']],
    ['that do not rise', ['ns/a/2', 'ns/a/1']],
    ['that repeat', ['ns/a/1', 'ns/a/1']],
    ['that are empty', ['']],
  ])('a list with keys %s is refused whole', (_, keys) => {
    for (const format of [ownFormat, stock]) {
      const response = format.rangeResponse(message(...keys.map((key) => [2, kv(key)] as const)));
      expect(() => response.readEntries(range)).toThrow(
        expect.objectContaining({ kind: 'busy', code: 'invalid-answer' }) as Error,
      );
    }
  });
});
