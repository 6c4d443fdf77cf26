import fc from 'fast-check';
import { Observable, asapScheduler, defer, of, subscribeOn } from 'rxjs';
import { describe, expect, test } from 'vitest';
import type { EtcdFault } from '../../src/etcd/faults.ts';
import { prefixEnd } from '../../src/etcd/keys.ts';
import type { KeyRange } from '../../src/etcd/member.ts';
import { listPages$, type RangeCall } from '../../src/etcd/list-pages.ts';
import type { RangeResponse } from '../../src/etcd/wire/messages.ts';
import { ownFormat } from '../../src/etcd/wire/own.ts';
import { message, type Field } from '../support/wire-writer.ts';

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

describe('a page that cannot be ends the list with an error of the request', () => {
  interface Page {
    readonly revision?: number;
    readonly keys: readonly string[];
    readonly more?: boolean;
    readonly count?: number;
    readonly modRevision?: number;
    readonly createRevision?: number;
  }

  /** Lists pages of bytes, as a server gives them, of at most three entries. */
  async function listOf(...pages: readonly Page[]): Promise<{ readonly told: string[]; readonly asked: number }> {
    const told: string[] = [];
    let asked = 0;
    const range$: RangeCall = (_, read) =>
      defer(() => {
        const {
          revision = 9,
          keys,
          more = false,
          count = keys.length,
          ...entry
        } = pages[Math.min(asked, pages.length - 1)] as Page;
        asked += 1;
        if (asked > 50) throw new Error('a spin');
        const { modRevision = 5, createRevision = 5 } = entry;
        const bytes = message(
          [1, message([3, revision])],
          ...keys.map((key): Field => [
            2,
            message([1, Buffer.from(key)], [2, createRevision], [3, modRevision], [5, Buffer.from('v')]),
          ]),
          [3, more ? 1 : 0],
          [4, BigInt(count)],
        );
        return of(read(ownFormat.rangeResponse(bytes)));
      }).pipe(subscribeOn(asapScheduler));
    await new Promise<void>((resolve) => {
      listPages$(range$, under('/s/'), 0, { firstEntries: 3, maxEntries: 3, bytes: 1e6 }).subscribe({
        next: ({ entries }) => told.push(entries.map(({ key }) => key).join(' ')),
        error: ({ kind, code }: EtcdFault) => {
          told.push(`${kind} ${code}`);
          resolve();
        },
        complete: () => {
          told.push('complete');
          resolve();
        },
      });
    });
    return { told, asked };
  }

  const full: Page = { keys: ['/s/1', '/s/2', '/s/3'], more: true, count: 5 };
  const refused = 'busy invalid-answer';

  test('as it should be, it is complete', async () => {
    const { told } = await listOf(full, { keys: ['/s/4', '/s/5'] });
    expect(told).toEqual(['/s/1 /s/2 /s/3', '/s/4 /s/5', 'complete']);
  });

  test.each<[string, ...Page[]]>([
    ['more, without going forward', full],
    ['more, without a key', { keys: [], more: true, count: 5 }],
    ['more, without a key, later', full, { keys: [], more: true, count: 2 }],
    ['a key of another prefix', { keys: ['/s/1', '/t/1'] }],
    ['a key from before the page', full, { keys: ['/s/3', '/s/4'] }],
    ['keys that fall', { keys: ['/s/2', '/s/1'] }],
    ['a key twice', { keys: ['/s/1', '/s/1'] }],
    ['more entries than were asked for', { keys: ['/s/1', '/s/2', '/s/3', '/s/4'] }],
    ['fewer entries than are counted, and no more', { keys: ['/s/1'], count: 7 }],
    ['a count below its entries', { keys: ['/s/1', '/s/2'], count: 1 }],
    ['a negative count', { keys: ['/s/1'], count: -1 }],
    ['another count than the page before', full, { keys: ['/s/4'] }],
    ['more pages than were counted', full, { keys: ['/s/4', '/s/5', '/s/6'], more: true, count: 9 }],
    ['more keys than a process can hold', { ...full, count: 2 ** 40 }],
    ['no revision', { keys: ['/s/1'], revision: 0 }],
    ['a store from before the list', full, { keys: ['/s/4', '/s/5'], revision: 8 }],
    ['an entry from after the list', { keys: ['/s/1'], modRevision: 10 }],
    ['an entry that was never written', { keys: ['/s/1'], modRevision: 0 }],
    ['an entry changed before it was created', { keys: ['/s/1'], createRevision: 7 }],
  ])('%s', async (_, ...pages) => {
    const { told, asked } = await listOf(...pages);
    expect(told.at(-1)).toBe(refused);
    expect(told.slice(0, -1).filter((page) => page !== '/s/1 /s/2 /s/3')).toEqual([]);
    expect(asked).toBeLessThanOrEqual(3);
  });
});
