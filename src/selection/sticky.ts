import { defer, map, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { random } from './random.ts';
import type { CallOutcome, Selector } from './selector.ts';

/** Options of {@link sticky}. */
export interface StickyOptions<T> {
  /** Chooses the host to stay with. Default `random()`. */
  readonly choose?: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>;
  /** How many affinities are remembered; the ones unused for longest are forgotten first. Default 10000. */
  readonly maxAffinities?: number;
}

/**
 * Stays with the host it chose, for each affinity, for as long as that host is there.
 *
 * The first pick for an affinity (a session, say) is made by another selector; the following ones give the
 * same host, whoever joins. Only when it leaves, or has to be avoided, is another one chosen, and then
 * stayed with: when the first comes back, nothing moves. All picks without an affinity stay together.
 *
 * Unlike `consistentHash()` it can follow any selector (weights, load), costs memory for each affinity, and
 * knows nothing of what other processes chose. As cold as its source, with one selector for each of its
 * emissions; each subscription remembers for itself.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { roundRobin, sticky } from 'rx-etcd';
 *
 * const hosts$ = of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]));
 * hosts$.pipe(sticky({ choose: roundRobin({ startAfter: '' }) })).subscribe((selector) => {
 *   console.log(selector.pick('ann'), selector.pick('bob'), selector.pick('ann')); // 10.0.0.1 10.0.0.2 10.0.0.1
 * });
 * ```
 */
export function sticky<T>(options: StickyOptions<T> = {}): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  const { choose = random<T>(), maxAffinities = 10_000 } = options;
  if (!(Number.isInteger(maxAffinities) && maxAffinities > 0)) {
    throw invalidArgument('maxAffinities', 'a whole number above 0', maxAffinities);
  }
  return (source) =>
    defer(() => {
      const bonds = new Bonds(maxAffinities);
      return source.pipe(
        choose,
        map((selector) => new StickySelector(selector, bonds)),
      );
    });
}

/** Which host each affinity stays with, the least recently used first. */
class Bonds {
  readonly #max: number;
  readonly #keys = new Map<string | undefined, string>();

  constructor(max: number) {
    this.#max = max;
  }

  get(affinity: string | undefined): string | undefined {
    return this.#keys.get(affinity);
  }

  set(affinity: string | undefined, key: string): void {
    this.#keys.delete(affinity);
    this.#keys.set(affinity, key);
    if (this.#keys.size <= this.#max) return;
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest);
      return;
    }
  }
}

class StickySelector<T> implements Selector<T> {
  readonly started?: (key: string) => (outcome: CallOutcome) => void;
  readonly #selector: Selector<T>;
  readonly #bonds: Bonds;

  constructor(selector: Selector<T>, bonds: Bonds) {
    this.#selector = selector;
    this.#bonds = bonds;
    if (selector.started !== undefined) this.started = (key) => (selector as Required<Selector<T>>).started(key);
  }

  get hosts(): ReadonlyMap<string, T> {
    return this.#selector.hosts;
  }

  pick(affinity?: string): T | undefined {
    return this.pickEntry(affinity)?.[1];
  }

  pickEntry(affinity?: string, avoid?: (key: string) => boolean): readonly [string, T] | undefined {
    const bound = this.#bonds.get(affinity);
    const entry =
      bound !== undefined && this.hosts.has(bound) && avoid?.(bound) !== true
        ? ([bound, this.hosts.get(bound) as T] as const)
        : this.#selector.pickEntry(affinity, avoid);
    if (entry !== undefined) this.#bonds.set(affinity, entry[0]);
    return entry;
  }
}
