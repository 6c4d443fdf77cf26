import { Observable } from 'rxjs';
import { NO_BYTES, extrapolateKey, widened, type Alphabet } from './key-distance.ts';
import type { KeyRange, ListPage, WireEntry } from './member.ts';
import { contradiction, type RangeResponse } from './wire/messages.ts';

/** How a list is cut into pages. */
export interface PageSizes {
  /** Entries of the first page; later pages are sized to hold about `bytes`. */
  readonly firstEntries: number;
  readonly maxEntries: number;
  readonly bytes: number;
}

// docs/performance.md has the measurements. Larger pages would save the server little more, and block the event loop
// for longer.
const PAGE_SIZES: PageSizes = { firstEntries: 1000, maxEntries: 20_000, bytes: 1024 * 1024 };

/** So many pages from the end a list needs no care for the server any more. */
const LAST_PAGES = 4;

/** How much farther to reach after an answer without a key. */
const LEAP = 256;

/** After so many answers without a key, where the next ones are is left to the server. */
const MAX_EMPTY = 2;

/** More keys than a process can hold: who says so would be asked for pages without an end. */
const MAX_KEYS = 2 ** 24;

/** Makes one range call, and gives what `read` makes of the answer; what `read` throws is a fault of the call. */
export type RangeCall = <R>(request: object, read: (response: RangeResponse) => R) => Observable<R>;

/**
 * Lists a range page by page, all of `revision`, 0 for the first page's. The next page is asked for before the present
 * one is read, so that server and client work at the same time; no more than these two are held.
 *
 * A server walks all keys from the start of a request to its end, because it counts them, whatever the limit: asking
 * for "the next thousand of all that is left" makes a list of n keys cost n². So of a long list, each request ends
 * where a page is expected to, by how far apart the keys of the page before were. If more are there, the next request
 * goes on from the last one; if fewer, the next one reaches farther.
 *
 * The first answer says how many keys there are. Each page is held against that, against its own request and against
 * the pages before it: a list fails rather than lack an entry, have one twice or have one of another revision.
 */
export function listPages$(
  range$: RangeCall,
  range: KeyRange,
  revision = 0,
  sizes: PageSizes = PAGE_SIZES,
): Observable<ListPage> {
  return new Observable<ListPage>((subscriber) => {
    const ask = (part: Part): void => {
      let isLast = true;
      const { key, end, limit } = part;
      const request = { ...rangeFields(range), key, ...(end && { range_end: end }), revision: part.revision, limit };
      const page$ = range$(request, (response) => {
        const revision = part.revision || response.revision;
        const left = keysLeft(part, response, range);
        const next = nextPart(part, response, range, sizes, left);
        if (next !== undefined) {
          isLast = false;
          ask(next);
        } else if (left > 0) throw contradiction(`a list ended ${left} keys before its end`);
        const rangeEnd = part.end ?? range.rangeEnd;
        const entries = response.readEntries({ ...range, key: part.key, ...(rangeEnd && { rangeEnd }) });
        if (!entries.every((entry) => isOfRevision(entry, revision)))
          throw contradiction(`an entry that is not of revision ${revision}`);
        return { revision, entries };
      });
      subscriber.add(
        page$.subscribe({
          next: (page) => {
            subscriber.next(page);
            if (isLast) subscriber.complete();
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
        }),
      );
    };
    ask({ ...BEGIN, key: range.key, revision, limit: sizes.firstEntries });
  });
}

/** A range as a request names it. */
export function rangeFields(range: KeyRange): object {
  // Left out, not empty: etcd takes an empty end that is there as "no end", and gives all keys from this one on.
  return { key: range.key, ...(range.rangeEnd !== undefined && { range_end: range.rangeEnd }) };
}

interface Part {
  readonly key: Uint8Array;
  /** Where this part ends; undefined at the end of the range. */
  readonly end: Uint8Array | undefined;
  readonly revision: number;
  readonly limit: number;
  /** How many keys there are from here to the end of the range; undefined until the first answer. */
  readonly left: number | undefined;
  /** The ends of the last full page: how far apart keys are. */
  readonly full: { readonly first: Uint8Array; readonly last: Uint8Array } | undefined;
  /** How many times as far as that page this part reaches. */
  readonly reach: number;
  /** How many parts in a row held no key. */
  readonly empty: number;
  readonly alphabet: Alphabet;
  readonly bytesPerEntry: number;
}

const BEGIN = {
  end: undefined,
  left: undefined,
  full: undefined,
  reach: 1,
  empty: 0,
  alphabet: NO_BYTES,
  bytesPerEntry: 1,
} as const;

/** How many keys are left after a page, which is held against its request. */
function keysLeft(part: Part, response: RangeResponse, range: KeyRange): number {
  const { count, entryCount, more, revision } = response;
  if (!(revision > 0) || revision < part.revision)
    throw contradiction(`a page of revision ${part.revision} from a store at revision ${revision}`);
  if (entryCount > part.limit) throw contradiction(`${entryCount} entries where ${part.limit} were asked for`);
  if (more && (entryCount === 0 || range.rangeEnd === undefined))
    throw contradiction('more keys after a page that cannot have any after it');
  if (more ? count <= entryCount : count !== entryCount)
    throw contradiction(`a page of ${entryCount} entries, ${more ? 'and more' : 'all'} of ${count}`);
  const { left = count } = part;
  if (left > MAX_KEYS) throw contradiction(`a list of ${left} keys`);
  if (part.end === undefined ? count !== left : count > left)
    throw contradiction(`${count} keys where ${left} were left`);
  return left - entryCount;
}

function isOfRevision({ createRevision, modRevision }: WireEntry, revision: number): boolean {
  return createRevision > 0 && createRevision <= modRevision && modRevision <= revision;
}

function nextPart(
  part: Part,
  response: RangeResponse,
  range: KeyRange,
  sizes: PageSizes,
  left: number,
): Part | undefined {
  const { firstKey, lastKey, entryCount, more } = response;
  const offset = range.key.length;
  const key = more ? lastKey && Buffer.concat([lastKey, Buffer.alloc(1)]) : part.end;
  if (key === undefined) return undefined;
  let { full, reach, alphabet, bytesPerEntry, empty } = part;
  if (firstKey !== undefined && lastKey !== undefined) {
    alphabet = widened(widened(alphabet, firstKey, offset), lastKey, offset);
    bytesPerEntry = response.byteLength / entryCount;
    empty = 0;
  } else empty += 1;
  const limit = Math.max(1, Math.min(sizes.maxEntries, Math.floor(sizes.bytes / bytesPerEntry)));
  if (more && firstKey !== undefined && lastKey !== undefined) {
    full = { first: firstKey, last: lastKey };
    reach = limit / entryCount;
    // A part that held fewer reached not far enough, and a gap is crossed in leaps.
  } else reach *= Math.max(1, Math.min(LEAP, limit / Math.max(1, entryCount)));
  const next = {
    key,
    end: undefined,
    revision: part.revision || response.revision,
    limit,
    left,
    full,
    reach,
    empty,
    alphabet,
    bytesPerEntry,
  };
  const isShort = part.end === undefined && response.count - entryCount <= LAST_PAGES * limit;
  if (isShort || empty > MAX_EMPTY || range.rangeEnd === undefined || full === undefined) return next;
  const end = extrapolateKey(key, full, reach, offset, alphabet);
  if (end === undefined || Buffer.compare(end, key) <= 0 || !isBefore(end, range.rangeEnd)) return next;
  return { ...next, end };
}

/** Whether a key is before the end of a range: `[0]` is etcd's "no end". */
function isBefore(key: Uint8Array, end: Uint8Array): boolean {
  return (end.length === 1 && end[0] === 0) || Buffer.compare(key, end) < 0;
}
