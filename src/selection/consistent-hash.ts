import type { OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { checkFunction, checkOptions, checkWholeNumber } from './arguments.ts';
import { hashOf, mix } from './hash.ts';
import { type LearningState, selectBy } from './selection-state.ts';
import type { CallOutcome, LearningSelector } from './selector.ts';

/** Options of {@link consistentHash}. */
export interface ConsistentHashOptions {
  /** How many places on the ring an affinity is tried at. More make the spread more even. Default 21. */
  readonly probes?: number;
  /**
   * Bounded loads: a host that has this many times the mean of the calls in flight gets no more; the affinity's next
   * host does, until there is room again. Above 1; 1.25 moves few. Default `Infinity`: never.
   */
  readonly maxLoad?: number;
  /** A number in [0, 1), for picks without an affinity. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses the same host for the same affinity, in every process, for as long as that host is there.
 *
 * A host that leaves moves only the affinities it had; a host that comes takes only affinities that are now its own.
 * Which host has an affinity depends on the host keys alone, not on their order, their values or on what came before, so
 * all clients agree without talking to one another. A pick that has to avoid a host gives the one that would have the
 * affinity if the avoided were gone. A pick without an affinity gives a random host.
 *
 * By multi-probe consistent hashing: every host has 16 places on a ring, an affinity is tried at `probes` places, and
 * the host that follows one of them most closely has it. In random sets of 2 to 30 hosts, each has between 0.75 and 1.25
 * of an even share of the affinities, most of them within a tenth.
 *
 * Few affinities, or some that are asked for much more than others, are another matter: that is what `maxLoad` is for.
 * It counts the calls that it is told of (`balance()` does so; with picks by hand, call `started`).
 *
 * A pick takes O(probes · log n), and more only as far as hosts are to be avoided or are full; the first after a
 * membership change also O(n). As cold as its source, with one selector for each emission.
 *
 * @source https://arxiv.org/abs/1505.00062 "Multi-probe consistent hashing"
 * @source https://arxiv.org/abs/1608.01350 "Consistent Hashing with Bounded Loads"
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
): OperatorFunction<ReadonlyMap<string, T>, LearningSelector<T>> {
  checkOptions('options', options, { probes: true, maxLoad: true, random: true });
  const { probes = 21, maxLoad = Infinity, random = Math.random } = options;
  checkWholeNumber('options.probes', probes, 1);
  if (!(maxLoad > 1)) throw invalidArgument('options.maxLoad', 'a number above 1', maxLoad);
  checkFunction('options.random', random);
  return selectBy<T>((): LearningState<T> => new RingState(probes, maxLoad, random));
}

interface Place {
  readonly point: number;
  readonly key: string;
}

// One place a host leaves hosts with a twentieth of their share; more than these change little.
const PLACES = 16;

class RingState implements LearningState<unknown> {
  readonly #probes: number;
  readonly #maxLoad: number;
  readonly #random: () => number;
  readonly #keys = new Set<string>();
  #ring: readonly Place[] = [];
  // Hosts that joined or left since the last pick: many at once are merged in one go.
  readonly #joined = new Set<string>();
  readonly #left = new Set<string>();
  // Of the hosts with calls in flight only, so that hosts that left are forgotten.
  readonly #inFlight = new Map<string, number>();
  #allInFlight = 0;

  constructor(probes: number, maxLoad: number, random: () => number) {
    this.#probes = probes;
    this.#maxLoad = maxLoad;
    this.#random = random;
  }

  joined(key: string): void {
    this.#keys.add(key);
    if (!this.#left.delete(key)) this.#joined.add(key);
  }

  changed(): void {
    // A host's value plays no part in the choice.
  }

  left(key: string): void {
    this.#keys.delete(key);
    if (!this.#joined.delete(key)) this.#left.add(key);
  }

  choose(affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    this.#settle();
    const probes = this.#probesOf(affinity ?? String(this.#random()));
    if (this.#maxLoad === Infinity) return this.#closest(probes, avoid);
    const most = Math.ceil((this.#maxLoad * (this.#allInFlight + 1)) / this.#keys.size);
    const isFull = (key: string): boolean => this.#load(key) >= most;
    // Hosts with room are there, unless those are to be avoided.
    return this.#closest(probes, (key) => isFull(key) || avoid?.(key) === true) ?? this.#closest(probes, avoid);
  }

  readonly started = (key: string): ((outcome: CallOutcome) => void) => {
    this.#inFlight.set(key, this.#load(key) + 1);
    this.#allInFlight++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#allInFlight--;
      const load = this.#load(key) - 1;
      if (load === 0) this.#inFlight.delete(key);
      else this.#inFlight.set(key, load);
    };
  };

  #load(key: string): number {
    return this.#inFlight.get(key) ?? 0;
  }

  #probesOf(affinity: string): number[] {
    const first = hashOf(affinity);
    // Two hashes make all the probes; odd, so that the steps do not fall into a short cycle.
    const step = hashOf(affinity, 0x9e3779b9) | 1;
    return Array.from({ length: this.#probes }, (_, i) => mix(first + Math.imul(i, step)));
  }

  #closest(probes: readonly number[], avoid: ((key: string) => boolean) | undefined): string | undefined {
    let closest: string | undefined;
    let distance = Infinity;
    // Of one pick: whether a host is to be avoided is asked once, and a search that finds nothing is not repeated.
    const avoided = avoid === undefined ? undefined : remembered(avoid);
    for (const probe of probes) {
      const place = this.#following(probe, avoided);
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
    if (this.#joined.size === 0 && this.#left.size === 0) return;
    const stayed = this.#left.size === 0 ? this.#ring : this.#ring.filter(({ key }) => !this.#left.has(key));
    this.#ring = merged(stayed, [...this.#joined].flatMap(placesOf).sort(inOrder));
    this.#joined.clear();
    this.#left.clear();
  }
}

function remembered(avoid: (key: string) => boolean): (key: string) => boolean {
  const answers = new Map<string, boolean>();
  return (key) => {
    let answer = answers.get(key);
    if (answer === undefined) answers.set(key, (answer = avoid(key)));
    return answer;
  };
}

function placesOf(key: string): Place[] {
  // Other seeds than for affinities: an affinity that is spelt like a key shall not always go to that host.
  const first = hashOf(key, 0x7f4a7c15);
  const step = hashOf(key, 0x85ebca77) | 1;
  return Array.from({ length: PLACES }, (_, i) => ({ point: mix(first + Math.imul(i, step)), key }));
}

function merged(one: readonly Place[], other: readonly Place[]): readonly Place[] {
  if (other.length === 0) return one;
  const all: Place[] = [];
  let next = 0;
  for (const place of one) {
    while (next < other.length && inOrder(other[next] as Place, place) < 0) all.push(other[next++] as Place);
    all.push(place);
  }
  while (next < other.length) all.push(other[next++] as Place);
  return all;
}

function inOrder(a: Place, b: Place): number {
  return a.point - b.point || (a.key < b.key ? -1 : 1);
}

function lowerBound(ring: readonly Place[], place: Place): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (inOrder(ring[middle] as Place, place) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
