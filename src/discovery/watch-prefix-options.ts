import type { SchedulerLike } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import type { RxEtcdError } from '../errors.ts';

/** How a prefix, or a key, is watched. */
export interface WatchPrefixOptions<T> {
  /** How values are read. Default: `text()`. Values it cannot read are left out, and listed in the state's `rejected`. */
  readonly codec?: Codec<T>;
  /**
   * Called once for each value the codec could not read, with its key. If it throws, the stream ends with
   * `callback-failed`.
   */
  readonly onRejected?: (error: RxEtcdError, key: string) => void;
  /**
   * How many failures in a row are borne before the stream ends with the error `retries-exhausted`.
   * Default: no bound.
   */
  readonly maxRetries?: number;
  /** The clock and timers. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
  /** The source of jitter, in [0, 1). Default: `Math.random`. */
  readonly random?: () => number;
}
