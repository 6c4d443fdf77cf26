import { defer, map, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { type OrderedEntries, orderedEntries } from './ordered-entries.ts';
import type { Selector } from './selector.ts';
import { chooseByShare, hasShares } from './shares.ts';

/** Options of {@link roundRobin}. */
export interface RoundRobinOptions {
  /** The rotation starts at the first key greater than this one. Default: at a random host. */
  readonly startAfter?: string;
  /** A number in [0, 1), for the random start. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses every host in turn, in key order.
 *
 * Each subscription has its own rotation, and goes through membership changes with it: the rotation's place
 * is a key, so a host that comes or goes neither sends it back to the first host nor makes it skip one.
 * Over `k` picks among `n` unchanged hosts each is picked ⌊k/n⌋ or ⌈k/n⌉ times. It starts at a random host,
 * so that many clients that start together do not all begin with the same one.
 *
 * A pick takes O(log n) and allocates nothing that grows with n. A change costs nothing that grows with n
 * when the source gives `Snapshot`s; for other maps the keys are sorted once at the first pick after it.
 * The maps of the source must not change after they were emitted.
 *
 * The result is as cold as the source; it emits once for each of its emissions, and ends as it does.
 * Unsubscribing does nothing else than unsubscribe from the source.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { roundRobin } from 'rx-etcd';
 *
 * const hosts = new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]);
 * of(hosts).pipe(roundRobin({ startAfter: 'a' })).subscribe((selector) => {
 *   console.log(selector.pick(), selector.pick(), selector.pick()); // 10.0.0.2 10.0.0.1 10.0.0.2
 * });
 * ```
 */
export function roundRobin<T>(options: RoundRobinOptions = {}): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  const { startAfter, random = Math.random } = options;
  if (startAfter !== undefined && typeof startAfter !== 'string') {
    throw invalidArgument('startAfter', 'a string', startAfter);
  }
  return (source) =>
    defer(() => {
      const rotation: Rotation = { place: startAfter };
      return source.pipe(
        map((hosts) => {
          // Here rather than in the pick: walking to a random host is the one step that takes O(n).
          rotation.place ??= randomKey(hosts, random);
          return new RoundRobinSelector(hosts, rotation, random);
        }),
      );
    });
}

/** Where the rotation is: at the key that was picked last, or that comes before the first one to pick. */
interface Rotation {
  place: string | undefined;
}

class RoundRobinSelector<T> implements Selector<T> {
  readonly hosts: ReadonlyMap<string, T>;
  readonly #rotation: Rotation;
  readonly #random: () => number;
  #ordered: OrderedEntries<T> | undefined;

  constructor(hosts: ReadonlyMap<string, T>, rotation: Rotation, random: () => number) {
    this.hosts = hosts;
    this.#rotation = rotation;
    this.#random = random;
  }

  pick(): T | undefined {
    return this.pickEntry()?.[1];
  }

  pickEntry(_affinity?: string, avoid?: (key: string) => boolean): readonly [string, T] | undefined {
    if (!hasShares(this.hosts)) return this.#choose(avoid);
    return chooseByShare(this.hosts, this.#random, avoid, (avoided) => this.#choose(avoided));
  }

  #choose(avoid: ((key: string) => boolean) | undefined): readonly [string, T] | undefined {
    const first = this.#next(this.#rotation.place);
    let entry = first;
    while (entry !== undefined && avoid?.(entry[0]) === true) {
      entry = this.#next(entry[0]);
      if (entry?.[0] === first?.[0]) return undefined;
    }
    if (entry !== undefined) this.#rotation.place = entry[0];
    return entry;
  }

  #next(place: string | undefined): readonly [string, T] | undefined {
    this.#ordered ??= orderedEntries(this.hosts);
    return this.#ordered.entryAfter(place) ?? this.#ordered.entryAfter(undefined);
  }
}

function randomKey(hosts: ReadonlyMap<string, unknown>, random: () => number): string | undefined {
  let remaining = Math.floor(random() * hosts.size);
  for (const key of hosts.keys()) {
    if (remaining-- === 0) return key;
  }
  return undefined;
}
