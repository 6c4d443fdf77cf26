import { Observable } from 'rxjs';
import type { KeyRange, ListPage } from './link.ts';
import type { RangeResponse } from './wire/messages.ts';

/** Entries of the first page; later pages are sized to hold about {@link PAGE_BYTES}. */
const FIRST_PAGE_ENTRIES = 1000;
const MAX_PAGE_ENTRIES = 20_000;
const PAGE_BYTES = 1024 * 1024;

/** Makes one range call, and gives what `read` makes of the answer; what `read` throws is a fault of the call. */
export type RangeCall = <R>(request: object, read: (response: RangeResponse) => R) => Observable<R>;

/**
 * Lists a range page by page, all of `revision`, 0 for the first page's. The next page is asked for before the present one
 * is read, so that server and client work at the same time; no more than these two are held.
 */
export function listPages$(range$: RangeCall, range: KeyRange, revision = 0): Observable<ListPage> {
  return new Observable<ListPage>((subscriber) => {
    const ask = (key: Uint8Array, at: number, limit: number): void => {
      let last = true;
      const page$ = range$({ ...rangeFields({ ...range, key }), revision: at, limit }, (response) => {
        const { lastKey, entryCount } = response;
        const of = at || response.revision;
        if (response.more && lastKey !== undefined) {
          last = false;
          ask(Buffer.concat([lastKey, Buffer.alloc(1)]), of, nextLimit(response.byteLength / entryCount));
        }
        return { revision: of, entries: response.readEntries(range.namespaceBytes) };
      });
      subscriber.add(
        page$.subscribe({
          next: (page) => {
            subscriber.next(page);
            if (last) subscriber.complete();
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
        }),
      );
    };
    ask(range.key, revision, FIRST_PAGE_ENTRIES);
  });
}

/** A range as a request names it. */
export function rangeFields(range: KeyRange): object {
  // Left out, not empty: etcd takes an empty end that is there as "no end", and gives all keys from this one on.
  return { key: range.key, ...(range.rangeEnd !== undefined && { range_end: range.rangeEnd }) };
}

function nextLimit(bytesPerEntry: number): number {
  return Math.max(1, Math.min(MAX_PAGE_ENTRIES, Math.floor(PAGE_BYTES / bytesPerEntry)));
}
