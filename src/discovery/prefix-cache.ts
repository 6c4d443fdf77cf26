import { of, throwError, type Observable, type SchedulerLike } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { RxEtcdError } from '../errors.ts';
import type { EtcdFault } from '../etcd/faults.ts';
import type { Fingerprint, WireEvent } from '../etcd/member.ts';
import { applyEvents, fits, replaceContents, type RangeContents } from './range-contents.ts';
import type { PrefixState, ResyncReason } from './prefix-state.ts';
import { Snapshot } from './snapshot.ts';

export interface PrefixCacheOptions<T> {
  readonly codec: Codec<T>;
  readonly maxRetries: number;
  readonly scheduler: SchedulerLike;
  readonly onRejected: ((error: RxEtcdError, key: string) => void) | undefined;
}

/**
 * What one subscription knows of its range, and how well: the memory that outlives a member. Each method that
 * learns something gives the state to emit, if any.
 */
export class PrefixCache<T> {
  readonly codec: Codec<T>;
  readonly #options: PrefixCacheOptions<T>;
  /** Undefined until the first list is complete. */
  #contents: RangeContents<T> | undefined;
  /** Why the contents can only be had by a list. */
  #listBecause: ResyncReason | undefined;
  #failures = 0;
  #staleSinceMs: number | undefined;

  constructor(options: PrefixCacheOptions<T>) {
    this.#options = options;
    this.codec = options.codec;
  }

  /** Undefined while nothing is known, and while a list is due. */
  get contents(): RangeContents<T> | undefined {
    return this.#listBecause === undefined ? this.#contents : undefined;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** A page more of a list: something to tell only while nothing else is known. */
  listing(count: number): PrefixState<T> | undefined {
    return this.#contents === undefined ? { status: 'pending', attempt: this.#failures, listed: count } : undefined;
  }

  /** A list is complete. */
  listed(list: RangeContents<T>): PrefixState<T> {
    const before = this.#contents;
    const fell = before !== undefined && list.position < before.position;
    const resync = fell ? 'history-replaced' : this.#listBecause;
    this.#contents = before === undefined ? list : replaceContents(before, list, resync === 'history-replaced');
    this.#listBecause = undefined;
    this.#staleSinceMs = undefined;
    this.#reportRejected(before);
    return this.#live(resync);
  }

  /** Only a list can help. */
  needsList(reason: ResyncReason): void {
    this.#listBecause ??= reason;
  }

  /**
   * The history since the contents was compacted away. A range that has not changed is known by its
   * fingerprint, and need not be listed.
   */
  compacted(answer: Fingerprint): void {
    const { contents } = this;
    if (contents === undefined) return;
    if (answer.revision >= contents.position && fits(contents, answer)) {
      this.#contents = { ...contents, position: answer.revision };
    } else this.needsList('compacted');
  }

  /** The watch runs, and the history is known to be the same. */
  proven(): PrefixState<T> | undefined {
    const wasStale = this.#staleSinceMs !== undefined;
    this.#failures = 0;
    this.#staleSinceMs = undefined;
    return wasStale ? this.#live() : undefined;
  }

  /** Whole revisions of events. */
  apply(events: readonly WireEvent[]): PrefixState<T> | undefined {
    const before = this.#contents as RangeContents<T>;
    const after = applyEvents(before, events, this.codec);
    this.#contents = after;
    if (after.rejected !== before.rejected) this.#reportRejected(before);
    else if (after.snapshot === before.snapshot) return undefined;
    return this.#live();
  }

  /** Emits the state of trouble, or fails when it has lasted for longer than was allowed. */
  troubled$(fault: EtcdFault): Observable<PrefixState<T>> {
    const { maxRetries, scheduler } = this.#options;
    this.#failures += 1;
    const attempt = this.#failures;
    if (attempt > maxRetries) {
      const message = `gave up after ${attempt} failures in a row (options.maxRetries is ${maxRetries}): ${fault.message}`;
      return throwError(() => new RxEtcdError('retries-exhausted', message, { cause: fault }));
    }
    if (this.#contents === undefined) return of({ status: 'pending', attempt, listed: 0, cause: fault });
    const { snapshot, rejected } = this.#contents;
    this.#staleSinceMs ??= scheduler.now();
    return of({ status: 'stale', snapshot, rejected, sinceMs: this.#staleSinceMs, cause: fault, attempt });
  }

  #live(resync?: ResyncReason): PrefixState<T> {
    const { snapshot, rejected } = this.#contents as RangeContents<T>;
    return resync === undefined
      ? { status: 'live', snapshot, rejected }
      : { status: 'live', snapshot, rejected, resync };
  }

  #reportRejected(before: RangeContents<T> | undefined): void {
    const { onRejected } = this.#options;
    if (onRejected === undefined || this.#contents === undefined) return;
    Snapshot.diff(before?.rejected ?? Snapshot.of<RxEtcdError>([]), this.#contents.rejected, (key, _, now) => {
      if (now === undefined) return;
      try {
        onRejected(now.value, key);
      } catch (error) {
        // As RxJS does with an observer that throws: the stream goes on.
        throwError(() => error).subscribe();
      }
    });
  }
}
