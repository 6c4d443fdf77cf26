import { asyncScheduler, type SchedulerLike } from 'rxjs';
import { functionArgument, optionsArgument, schedulerArgument, type OptionNames } from '../arguments.ts';
import type { Codec } from '../codecs/codec.ts';
import { codecOption } from '../codecs/codec-option.ts';
import { invalidArgument, type RxEtcdError } from '../errors.ts';

/** How a prefix, or a key, is watched. */
export interface WatchPrefixOptions<T> {
  /** How values are read. Default: `text()`. Values it cannot read are left out, and listed in `rejected`. */
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

export const WATCH_PREFIX_OPTIONS: OptionNames<WatchPrefixOptions<unknown>> = {
  codec: true,
  onRejected: true,
  maxRetries: true,
  scheduler: true,
  random: true,
};

/** The options with their defaults. Throws `invalid-argument` for what is wrong with them. */
export function watchPrefixOptions<T>(
  options?: WatchPrefixOptions<T>,
): Required<Omit<WatchPrefixOptions<T>, 'onRejected'>> & Pick<WatchPrefixOptions<T>, 'onRejected'> {
  const given = optionsArgument<WatchPrefixOptions<T>>('options', options, WATCH_PREFIX_OPTIONS);
  const { maxRetries = Infinity, onRejected } = given;
  if (typeof maxRetries !== 'number' || !(maxRetries >= 0)) {
    throw invalidArgument('options.maxRetries', 'a number from 0', maxRetries);
  }
  return {
    codec: codecOption(given.codec, 'decode'),
    maxRetries,
    scheduler: schedulerArgument('options.scheduler', given.scheduler) ?? asyncScheduler,
    random: functionArgument('options.random', given.random) ?? Math.random,
    ...(functionArgument('options.onRejected', onRejected) !== undefined && { onRejected }),
  };
}
