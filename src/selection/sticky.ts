import { defer, map, type OperatorFunction } from 'rxjs';
import { checkedSelector, checkOptions, checkSelector, checkWholeNumber } from './arguments.ts';
import { DerivedSelector } from './derived-selector.ts';
import { randomHost } from './random-host.ts';
import type { Selector } from './selector.ts';

/** Options of {@link sticky}. */
export interface StickyOptions<T> {
  /** Chooses the host to stay with. Default `randomHost()`. */
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
  checkOptions('options', options, { choose: true, maxAffinities: true });
  const { choose = randomHost<T>(), maxAffinities = 10_000 } = options;
  checkSelector('options.choose', choose);
  checkWholeNumber('options.maxAffinities', maxAffinities, 1);
  return (source) =>
    defer(() => {
      const bonds = new Bonds(maxAffinities);
      return source.pipe(
        choose,
        map((selector) => stickySelector(checkedSelector('options.choose', selector), bonds)),
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

function stickySelector<T>(selector: Selector<T>, bonds: Bonds): Selector<T> {
  return new DerivedSelector(selector, (affinity, avoid) => {
    const bound = bonds.get(affinity);
    const host = bound === undefined || avoid?.(bound) === true ? undefined : selector.hosts.get(bound);
    const entry =
      bound === undefined || host === undefined ? selector.pickEntry(affinity, avoid) : ([bound, host] as const);
    if (entry !== undefined) bonds.set(affinity, entry[0]);
    return entry;
  });
}
