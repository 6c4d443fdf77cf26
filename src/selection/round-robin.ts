import { defer, map, type OperatorFunction } from 'rxjs';
import type { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument } from '../errors.ts';
import { checkFunction, checkOptions } from './arguments.ts';
import { membershipOf } from './membership.ts';
import { randomIndex } from './random-set.ts';
import type { Selector } from './selector.ts';

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
 * Each subscription has its own rotation, and goes through membership changes with it: the rotation's place is a key, so
 * a host that comes or goes neither sends it back to the first host nor makes it skip one. Over `k` picks among `n`
 * unchanged hosts each is picked ⌊k/n⌋ or ⌈k/n⌉ times. It starts at a random host, so that many clients that start
 * together do not all begin with the same one.
 *
 * A pick takes O(log n) and allocates nothing that grows with n. A change costs nothing that grows with n when the
 * source gives `Snapshot`s; any other map is copied when it is emitted.
 *
 * The result is as cold as the source; it emits once for each of its emissions, and ends as it does. Unsubscribing only
 * unsubscribes from the source.
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
  checkOptions('options', options, { startAfter: true, random: true });
  const { startAfter, random = Math.random } = options;
  if (startAfter !== undefined && typeof startAfter !== 'string') {
    throw invalidArgument('options.startAfter', 'a string', startAfter);
  }
  checkFunction('options.random', random);
  return (source) =>
    defer(() => {
      const rotation: Rotation = { place: startAfter };
      return source.pipe(
        map((hosts) => {
          const membership = membershipOf(hosts);
          // Not in the pick: walking to a random host is the one step that takes O(n).
          rotation.place ??= randomKey(membership, random);
          return new RoundRobinSelector(membership, rotation);
        }),
      );
    });
}

/** Where the rotation is: at the key that was picked last, or that comes before the first one to pick. */
interface Rotation {
  place: string | undefined;
}

class RoundRobinSelector<T> implements Selector<T> {
  readonly hosts: Snapshot<T>;
  readonly #rotation: Rotation;

  constructor(hosts: Snapshot<T>, rotation: Rotation) {
    this.hosts = hosts;
    this.#rotation = rotation;
  }

  pick(): T | undefined {
    return this.pickEntry()?.[1];
  }

  pickEntry(_affinity?: string, avoid?: (key: string) => boolean): readonly [string, T] | undefined {
    const first = this.#next(this.#rotation.place);
    let entry = first;
    while (entry !== undefined && (entry[1] === undefined || avoid?.(entry[0]) === true)) {
      entry = this.#next(entry[0]);
      if (entry?.[0] === first?.[0]) return undefined;
    }
    if (entry !== undefined) this.#rotation.place = entry[0];
    return entry;
  }

  #next(place: string | undefined): readonly [string, T] | undefined {
    return this.hosts.entryAfter(place) ?? this.hosts.entryAfter(undefined);
  }
}

function randomKey(hosts: ReadonlyMap<string, unknown>, random: () => number): string | undefined {
  let remaining = randomIndex(hosts.size, random);
  for (const key of hosts.keys()) {
    if (remaining-- === 0) return key;
  }
  return undefined;
}
