import fc from 'fast-check';
import { Observable, of } from 'rxjs';
import { expect, test } from 'vitest';
import { prefixEnd } from '../../src/etcd/keys.ts';
import type { KeyRange } from '../../src/etcd/member.ts';
import { listPages$, type RangeCall } from '../../src/etcd/list-pages.ts';
import type { RangeResponse } from '../../src/etcd/wire/messages.ts';

interface Asked {
  readonly key: Uint8Array;
  readonly range_end?: Uint8Array;
  readonly revision: number;
  readonly limit: number;
}

/** Answers as etcd does, and counts the keys it has to walk for it. */
function fakeServer(keys: readonly Buffer[]) {
  const sorted = keys.toSorted((a, b) => Buffer.compare(a, b));
  const asked: Asked[] = [];
  let walked = 0;
  const range$: RangeCall = (request, read) => {
    const { key, range_end: end, limit } = request as Asked;
    asked.push(request as Asked);
    const noEnd = end?.length === 1 && end[0] === 0;
    const found = sorted.filter((one) => {
      if (end === undefined) return Buffer.compare(one, key) === 0;
      return Buffer.compare(one, key) >= 0 && (noEnd || Buffer.compare(one, end) < 0);
    });
    walked += found.length;
    const page = found.slice(0, limit);
    const response: RangeResponse = {
      revision: 7,
      more: page.length < found.length,
      count: found.length,
      entryCount: page.length,
      byteLength: page.length * 10,
      firstKey: page[0],
      lastKey: page.at(-1),
      readEntries: () =>
        page.map((one) => ({ key: one.toString('latin1'), value: one, createRevision: 1, modRevision: 1, lease: '0' })),
    };
    // Asynchronous, as a server is.
    return new Observable((subscriber) => {
      queueMicrotask(() => {
        of(read(response)).subscribe(subscriber);
      });
    });
  };
  return { range$, asked, sorted, walked: () => walked };
}

async function listed(server: ReturnType<typeof fakeServer>, range: KeyRange, bytes: number): Promise<string[]> {
  const all: string[] = [];
  await listPages$(server.range$, range, 0, { firstEntries: 5, maxEntries: 1000, bytes }).forEach(
    ({ entries, revision }) => {
      expect(revision).toBe(7);
      all.push(...entries.map(({ key }) => key));
    },
  );
  return all;
}

const under = (prefix: string): KeyRange => ({
  key: Buffer.from(prefix),
  rangeEnd: prefixEnd(Buffer.from(prefix)),
  namespaceBytes: 0,
});

const part = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('a', 'b', '/', '00', '\xff', '\xff\xff').map((text) => Buffer.from(text, 'latin1')),
  fc.nat({ max: 9999 }).map((number) => Buffer.from(String(number).padStart(6, '0'))),
);
const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => Buffer.concat(parts));

test('every key once and in order, however the keys are spread and whatever the page size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 200, selector: (one) => one.toString('latin1') }),
      fc.constantFrom('', 'a', '/', '0'),
      fc.integer({ min: 10, max: 400 }),
      async (keys, prefix, bytes) => {
        const server = fakeServer(keys);
        const range: KeyRange =
          prefix === '' ? { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0), namespaceBytes: 0 } : under(prefix);
        const wanted = server.sorted.filter(
          (one) => one.toString('latin1').startsWith(prefix) && !one.equals(Buffer.of()),
        );
        expect(await listed(server, range, bytes)).toEqual(wanted.map((one) => one.toString('latin1')));
        expect(server.asked.slice(1).every(({ revision }) => revision === 7)).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});

// Page by page to the end of the range, a hundred pages of fifty would walk 250 000.
test.each([
  ['numbered', 15_000, (index: number) => `/s/${String(index).padStart(7, '0')}`],
  ['hashed', 30_000, (index: number) => `/s/${((index * 2654435761) >>> 0).toString(16).padStart(8, '0')}`],
  ['in two far directories', 50_000, (index: number) => `/s/${index < 2000 ? 'a' : 'z'.repeat(30)}/${String(index)}`],
  // Each directory is hardly larger than a page: the next one is not where the last one's keys let expect it.
  ['in many directories', 120_000, (index: number) => `/s/service-${String(index % 40)}/host-${String(index)}`],
])('a long list is not walked over and over: keys %s', async (_, mostWalked, name) => {
  const keys = Array.from({ length: 5000 }, (__, index) => Buffer.from(name(index)));
  const server = fakeServer(keys);
  expect(await listed(server, under('/s/'), 500)).toHaveLength(5000);
  expect(server.walked()).toBeLessThan(mostWalked);
  expect(server.asked.length).toBeLessThan(350);
});

test('a single key is asked for once', async () => {
  const server = fakeServer([Buffer.from('a'), Buffer.from('b')]);
  expect(await listed(server, { key: Buffer.from('a'), namespaceBytes: 0 }, 100)).toEqual(['a']);
  expect(server.asked).toHaveLength(1);
});
