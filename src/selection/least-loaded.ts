import type { OperatorFunction } from 'rxjs';
import { checkFunction, checkOptions } from './arguments.ts';
import { RandomSet } from './random-set.ts';
import { type LearningState, selectBy } from './selection-state.ts';
import type { CallOutcome, LearningSelector } from './selector.ts';

/** Options of {@link leastLoaded}. */
export interface LeastLoadedOptions {
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses, of two hosts taken at random, the one with fewer calls in flight.
 *
 * Two are enough to keep the busiest host close to the average, and, unlike choosing the least loaded of
 * all, do not send every client's next call to the same host. A newcomer is looked at as often as any
 * other, so it gets at most twice an even share however idle it is.
 *
 * It counts the calls that it is told of: `balance()` does so; with picks by hand, call `started`.
 * Calls to a host that left and came back still count. A pick takes constant time; the first after a
 * membership change as for `randomHost()`. As cold as its source, with one selector for each emission; each
 * subscription counts its own calls.
 *
 * @source https://www.eecs.harvard.edu/~michaelm/postscripts/tpds2001.pdf "The Power of Two Choices in
 *   Randomized Load Balancing"
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { leastLoaded } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']])).pipe(leastLoaded()).subscribe((selector) => {
 *   const ended = selector.started('a');
 *   console.log(selector.pick()); // 10.0.0.2
 *   ended({ result: 'answered', latencyMs: 12 });
 * });
 * ```
 */
export function leastLoaded<T>(
  options: LeastLoadedOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, LearningSelector<T>> {
  checkOptions('options', options, { random: true });
  const { random = Math.random } = options;
  checkFunction('options.random', random);
  return selectBy<T>((): LearningState<T> => new LoadState(random));
}

class LoadState implements LearningState<unknown> {
  readonly #keys: RandomSet;
  // Of the hosts with calls in flight only, so that hosts that left are forgotten.
  readonly #inFlight = new Map<string, number>();

  constructor(random: () => number) {
    this.#keys = new RandomSet(random);
  }

  joined(key: string): void {
    this.#keys.add(key);
  }

  changed(): void {
    // A host's value plays no part in the choice.
  }

  left(key: string): void {
    this.#keys.remove(key);
  }

  choose(_affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    const [a, b] = this.#keys.samplePair(avoid);
    return a === undefined || b === undefined || this.#load(a) <= this.#load(b) ? a : b;
  }

  readonly started = (key: string): ((outcome: CallOutcome) => void) => {
    this.#inFlight.set(key, this.#load(key) + 1);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      const load = this.#load(key) - 1;
      if (load === 0) this.#inFlight.delete(key);
      else this.#inFlight.set(key, load);
    };
  };

  #load(key: string): number {
    return this.#inFlight.get(key) ?? 0;
  }
}
