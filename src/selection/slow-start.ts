import { defer, map, type OperatorFunction, type TimestampProvider } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { forEachDifference } from './differences.ts';
import type { SharedHosts } from './shares.ts';

/** Options of {@link slowStart}. */
export interface SlowStartOptions {
  /** The part of its share that a host gets at first, from 0 to 1. Default 0.1. */
  readonly firstShare?: number;
  /** Where the time is taken from, in milliseconds; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly clock?: TimestampProvider;
}

/**
 * Lets a newcomer's share of the picks grow over some seconds, so that it can fill caches and warm up.
 *
 * The share rises evenly from `firstShare` to the whole. The hosts of the first emission are not newcomers;
 * one that left and came back is. The share is looked at in each pick: no timer runs, and nothing is emitted
 * when a host has warmed up. All selectors of this library honour it; when every host is a newcomer, all are
 * chosen from as usual. `consistentHash()` then gives a part of a newcomer's keys to others for a while.
 *
 * Put it after the layers that may drop a host for a moment, or its return would be a start. As cold as
 * its source, with one emission for each of its.
 *
 * @param seconds - how long it takes until a newcomer has its whole share
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { roundRobin, slowStart } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1']]), new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]))
 *   .pipe(slowStart(30), roundRobin())
 *   .subscribe((selector) => console.log(selector.pick())); // mostly 10.0.0.1 in the first seconds
 * ```
 */
export function slowStart<T>(
  seconds: number,
  options: SlowStartOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, ReadonlyMap<string, T>> {
  const { firstShare = 0.1, clock = monotonicClock } = options;
  if (!(seconds >= 0)) throw invalidArgument('seconds', 'a number, 0 or more', seconds);
  if (!(firstShare >= 0 && firstShare <= 1)) throw invalidArgument('firstShare', 'a number from 0 to 1', firstShare);
  return (source) =>
    defer(() => {
      const ramp = new Ramp(seconds * 1000, firstShare, clock);
      let known: ReadonlyMap<string, T> | undefined;
      return source.pipe(
        map((hosts) => {
          if (known !== undefined) forEachDifference(known, hosts, ramp);
          known = hosts;
          const newcomers = ramp.newcomers();
          // When all are new there is nobody to spare them.
          return newcomers === 0 || newcomers === hosts.size ? hosts : Object.assign(new Map(hosts), ramp.shares());
        }),
      );
    });
}

class Ramp {
  readonly #durationMs: number;
  readonly #firstShare: number;
  readonly #clock: TimestampProvider;
  readonly #since = new Map<string, number>();

  constructor(durationMs: number, firstShare: number, clock: TimestampProvider) {
    this.#durationMs = durationMs;
    this.#firstShare = firstShare;
    this.#clock = clock;
  }

  joined(key: string): void {
    this.#since.set(key, this.#clock.now());
  }

  changed(): void {
    // A new value is not a new host.
  }

  left(key: string): void {
    this.#since.delete(key);
  }

  /** How many are still growing. */
  newcomers(): number {
    const ended = this.#clock.now() - this.#durationMs;
    for (const [key, since] of this.#since) {
      if (since <= ended) this.#since.delete(key);
    }
    return this.#since.size;
  }

  /** The shares of this moment's newcomers, in a form that later ones do not change. */
  shares(): SharedHosts {
    const since = new Map(this.#since);
    return { shareOf: (key) => this.#shareSince(since.get(key)) };
  }

  #shareSince(since: number | undefined): number {
    if (since === undefined) return 1;
    const passed = Math.min(1, (this.#clock.now() - since) / this.#durationMs);
    return this.#firstShare + (1 - this.#firstShare) * passed;
  }
}
