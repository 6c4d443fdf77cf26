import type { OperatorFunction } from 'rxjs';
import { checkFunction, checkOptions } from './arguments.ts';
import { RandomSet } from './random-set.ts';
import { selectBy, type SelectionState } from './selection-state.ts';
import type { Selector } from './selector.ts';

/** Options of {@link randomHost}. */
export interface RandomHostOptions {
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses a host at random, each with the same probability.
 *
 * Nothing is remembered from pick to pick, so many clients never fall into step, and a newcomer gets its share at once.
 * Over few picks the spread is uneven, as chance is; `roundRobin()` is even.
 *
 * A pick takes constant time; the first after a membership change takes the difference's size between `Snapshot`s, the
 * map's size otherwise. As cold as its source, with one selector for each emission.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { randomHost } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]))
 *   .pipe(randomHost())
 *   .subscribe((selector) => console.log(selector.pick())); // 10.0.0.1 or 10.0.0.2
 * ```
 */
export function randomHost<T>(options: RandomHostOptions = {}): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  checkOptions('options', options, { random: true });
  const { random = Math.random } = options;
  checkFunction('options.random', random);
  return selectBy<T>((): SelectionState<T> => new RandomState(random));
}

class RandomState implements SelectionState<unknown> {
  readonly #keys: RandomSet;

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
    return this.#keys.sample(avoid);
  }
}
