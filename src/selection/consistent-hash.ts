import type { OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { hashOf, mix } from './hash.ts';
import { selectBy, type SelectionState } from './selection-state.ts';
import type { Selector } from './selector.ts';

/** Options of {@link consistentHash}. */
export interface ConsistentHashOptions {
  /** How many places a key is tried at; the busiest host gets about 1 + 1/(probes - 1) of its share. Default 21. */
  readonly probes?: number;
  /** A number in [0, 1), for picks without an affinity. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses the same host for the same affinity, in every process, for as long as that host is there.
 *
 * A host that leaves moves only the keys it had; a host that comes takes only keys that are now its own.
 * Which host has a key depends on the host keys alone, not on their order, their values or on what came
 * before, so all clients agree without talking to one another. A pick that has to avoid a host gives the one
 * that would have the key if the avoided were gone. A pick without an affinity gives a random host.
 *
 * By multi-probe consistent hashing: every host has one place on a ring, a key is tried at `probes` places,
 * and the host that follows one of them most closely has it. With 21 of them the busiest host gets about
 * 5 % more than the average, which a ring of host replicas needs hundreds of places a host for.
 *
 * A pick takes O(probes · log n); the first after a membership change also the difference's size between
 * `Snapshot`s, the map's size otherwise. As cold as its source, with one selector for each emission.
 *
 * @source https://arxiv.org/abs/1505.00062 "Multi-probe consistent hashing"
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { consistentHash } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']])).pipe(consistentHash()).subscribe((selector) => {
 *   console.log(selector.pick('user 7') === selector.pick('user 7')); // true
 * });
 * ```
 */
export function consistentHash<T>(
  options: ConsistentHashOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  const { probes = 21, random = Math.random } = options;
  if (!(Number.isInteger(probes) && probes > 0)) throw invalidArgument('probes', 'a whole number above 0', probes);
  return selectBy<T>((): SelectionState<T> => new RingState(probes, random), random);
}

interface Place {
  readonly point: number;
  readonly key: string;
}

class RingState implements SelectionState<unknown> {
  readonly #probes: number;
  readonly #random: () => number;
  #ring: Place[] = [];
  // Hosts that joined since the last pick: many at once are sorted in, not inserted one by one.
  #newcomers: Place[] = [];

  constructor(probes: number, random: () => number) {
    this.#probes = probes;
    this.#random = random;
  }

  joined(key: string): void {
    this.#newcomers.push(placeOf(key));
  }

  changed(): void {
    // A host's value plays no part in the choice.
  }

  left(key: string): void {
    const index = lowerBound(this.#ring, placeOf(key));
    if (this.#ring[index]?.key === key) this.#ring.splice(index, 1);
  }

  choose(affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    this.#settle();
    const key = affinity ?? String(this.#random());
    const first = hashOf(key);
    // Two hashes make all the probes; odd, so that the steps do not fall into a short cycle.
    const step = hashOf(key, 0x9e3779b9) | 1;
    let closest: string | undefined;
    let distance = Infinity;
    for (let i = 0; i < this.#probes; i++) {
      const probe = mix(first + Math.imul(i, step));
      const place = this.#following(probe, avoid);
      if (place === undefined) return undefined;
      const away = (place.point - probe) >>> 0;
      if (away < distance) {
        closest = place.key;
        distance = away;
      }
    }
    return closest;
  }

  #following(probe: number, avoid: ((key: string) => boolean) | undefined): Place | undefined {
    const ring = this.#ring;
    const from = lowerBound(ring, { point: probe, key: '' });
    for (let i = 0; i < ring.length; i++) {
      const place = ring[(from + i) % ring.length] as Place;
      if (avoid?.(place.key) !== true) return place;
    }
    return undefined;
  }

  #settle(): void {
    if (this.#newcomers.length === 0) return;
    if (this.#newcomers.length * 8 > this.#ring.length) {
      this.#ring = [...this.#ring, ...this.#newcomers].sort((a, b) => (isBefore(a, b) ? -1 : 1));
    } else {
      for (const place of this.#newcomers) this.#ring.splice(lowerBound(this.#ring, place), 0, place);
    }
    this.#newcomers = [];
  }
}

function placeOf(key: string): Place {
  return { point: hashOf(key), key };
}

function isBefore(a: Place, b: Place): boolean {
  return a.point < b.point || (a.point === b.point && a.key < b.key);
}

function lowerBound(ring: readonly Place[], place: Place): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(ring[middle] as Place, place)) low = middle + 1;
    else high = middle;
  }
  return low;
}
