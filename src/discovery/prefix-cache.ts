import { of, throwError, type Observable, type SchedulerLike } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { RxEtcdError, callbackFailed } from '../errors.ts';
import type { EtcdFault } from '../etcd/faults.ts';
import type { Fingerprint, WireEvent } from '../etcd/member.ts';
import { MAX_DELAY_MS } from '../time/backoff.ts';
import {
  applyEvents,
  freshEvents,
  isContinuation,
  keepUnchanged,
  matches,
  type RangeContents,
} from './range-contents.ts';
import type { ResyncReason } from './prefix-state.ts';
import type { RangeUpdate } from './range-update.ts';
import { Snapshot } from './snapshot.ts';

export interface PrefixCacheOptions<T> {
  readonly codec: Codec<T>;
  readonly maxRetries: number;
  readonly scheduler: SchedulerLike;
  readonly onRejected: ((error: RxEtcdError, key: string) => void) | undefined;
  /** The revision that the first list is of; `undefined` for the present one. */
  readonly listRevision?: number | undefined;
}

/** A watch that has run for this long is healthy: the next failure is a first one. */
const HEALTHY_AFTER_MS = MAX_DELAY_MS;

/**
 * What one subscription knows of its range, and how well; it outlives any one member. Each method that learns something
 * gives the update to emit, if any.
 */
export class PrefixCache<T> {
  readonly codec: Codec<T>;
  readonly #options: PrefixCacheOptions<T>;
  /** Undefined until the first list is complete. */
  #contents: RangeContents<T> | undefined;
  /** Why the contents can only be had by a list. */
  #listBecause: ResyncReason | undefined;
  #listRevision: number | undefined;
  #failures = 0;
  #watchingSinceMs: number | undefined;
  #staleSinceMs: number | undefined;

  constructor(options: PrefixCacheOptions<T>) {
    this.#options = options;
    this.codec = options.codec;
    this.#listRevision = options.listRevision;
  }

  /** Undefined while nothing is known, and while a list is due. */
  get contents(): RangeContents<T> | undefined {
    return this.#listBecause === undefined ? this.#contents : undefined;
  }

  /** The revision to list; `undefined` for the present one. */
  get listRevision(): number | undefined {
    return this.#listRevision;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** One more page of a list: an update only while nothing else is known. */
  listing(count: number): RangeUpdate<T> | undefined {
    if (this.#contents !== undefined) return undefined;
    return { state: { status: 'pending', attempt: this.#failures, listed: count } };
  }

  /** A list is complete. */
  listed(list: RangeContents<T>): RangeUpdate<T> {
    const before = this.#contents;
    const replaced = before !== undefined && !isContinuation(before, list);
    const resync = replaced ? 'history-replaced' : this.#listBecause;
    // In another history the same revision is another one: nothing of the contents before is kept.
    const keeps = before !== undefined && resync !== 'history-replaced';
    this.#contents = keeps ? keepUnchanged(before, list) : list;
    this.#listBecause = undefined;
    this.#listRevision = undefined;
    this.#staleSinceMs = undefined;
    this.#reportRejected(before);
    return this.#live(resync);
  }

  /** The next list must be of the present, and is a resync. */
  needsList(reason: ResyncReason): void {
    this.#listBecause ??= reason;
    this.#listRevision = undefined;
  }

  /** The history since the contents was compacted away. A range that has not changed matches: it needs no list. */
  compacted(answer: Fingerprint): void {
    const { contents } = this;
    if (contents === undefined) return;
    if (answer.revision >= contents.position && matches(contents, answer)) {
      this.#contents = { ...contents, position: answer.revision };
    } else this.needsList('compacted');
  }

  /** The watch runs, and the history is proven to be the same. */
  watching(): RangeUpdate<T> | undefined {
    const wasStale = this.#staleSinceMs !== undefined;
    this.#watchingSinceMs ??= this.#options.scheduler.now();
    this.#staleSinceMs = undefined;
    return wasStale ? this.#live() : undefined;
  }

  /** Whole revisions of events. */
  apply(events: readonly WireEvent[]): RangeUpdate<T> | undefined {
    const before = this.#contents as RangeContents<T>;
    const fresh = freshEvents(before, events);
    if (fresh.length === 0) return undefined;
    const after = applyEvents(before, fresh, this.codec);
    this.#contents = after;
    if (after.rejected !== before.rejected) this.#reportRejected(before);
    else if (after.snapshot === before.snapshot) return undefined;
    return { ...this.#live(), applied: { before, after, events: fresh } };
  }

  /** Emits what a failure makes of the state; fails itself when there were more in a row than was allowed. */
  failed$(fault: EtcdFault): Observable<RangeUpdate<T>> {
    const { maxRetries, scheduler } = this.#options;
    const nowMs = scheduler.now();
    const wasHealthy = this.#watchingSinceMs !== undefined && nowMs - this.#watchingSinceMs >= HEALTHY_AFTER_MS;
    this.#failures = wasHealthy ? 1 : this.#failures + 1;
    this.#watchingSinceMs = undefined;
    const attempt = this.#failures;
    if (attempt > maxRetries) {
      const bound = `${attempt} failures in a row (options.maxRetries is ${maxRetries})`;
      const message = `gave up after ${bound}: ${fault.message}`;
      return throwError(() => new RxEtcdError('retries-exhausted', message, { cause: fault.passing }));
    }
    if (this.#contents === undefined) {
      return of({ state: { status: 'pending', attempt, listed: 0, cause: fault.passing } });
    }
    const { snapshot, rejected } = this.#contents;
    this.#staleSinceMs ??= nowMs;
    return of({
      state: { status: 'stale', snapshot, rejected, sinceMs: this.#staleSinceMs, cause: fault.passing, attempt },
    });
  }

  #live(resync?: ResyncReason): RangeUpdate<T> {
    const { snapshot, rejected } = this.#contents as RangeContents<T>;
    return {
      state:
        resync === undefined ? { status: 'live', snapshot, rejected } : { status: 'live', snapshot, rejected, resync },
    };
  }

  /** What the user's function throws is thrown on: it ends the stream that it was given to. */
  #reportRejected(before: RangeContents<T> | undefined): void {
    const { onRejected } = this.#options;
    if (onRejected === undefined || this.#contents === undefined) return;
    Snapshot.diff(before?.rejected ?? Snapshot.of<RxEtcdError>([]), this.#contents.rejected, (key, _, now) => {
      if (now === undefined) return;
      try {
        onRejected(now.value, key);
      } catch (error) {
        throw callbackFailed('options.onRejected', error);
      }
    });
  }
}
