import type { OperatorFunction } from 'rxjs';
import { callbackFailed } from '../errors.ts';
import { checkFunction, checkOptions } from './arguments.ts';
import { Heap, type HeapItem } from './heap.ts';
import { randomIndex } from './random-set.ts';
import { selectBy, type SelectionState } from './selection-state.ts';
import type { Selector } from './selector.ts';

/** Options of {@link weighted}. */
export interface WeightedOptions {
  /** A number in [0, 1), to order hosts whose turn it is equally. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Chooses hosts in turn in proportion to their weights, each host's picks spread out evenly.
 *
 * A smooth weighted round robin: after any number of picks among unchanged hosts, each has been picked as often as its
 * exact share says, give or take less than one. With the weights 5, 1 and 1 that is `a b a a c a a`, not
 * `a a a a a b c`. The rotation goes on through membership changes: nobody loses the place, and a newcomer begins
 * somewhere in its first round and gets no catching up.
 *
 * A weight may change before every pick, as load reports make it do: the host keeps its place in the round, and its
 * share is the sum of what its weights made due at each pick, give or take less than two.
 *
 * A pick takes O(log n); the first after a membership change also the difference's size between `Snapshot`s, the map's
 * size otherwise. As cold as its source, with one selector for each emission.
 *
 * @param weightOf - a host's weight, in any unit. One that is not above 0 and finite leaves the host out. Asked once for
 *   each value of each host; when it throws, the pick does, with the code
 *   `callback-failed`, until the host is gone or has another value.
 * @source https://people.eecs.berkeley.edu/~istoica/papers/eevdf-tr-95.pdf "Earliest Eligible Virtual Deadline
 *   First": of the hosts that have not had more than their share, the one whose next turn is due first
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { weighted } from 'rx-etcd';
 *
 * const hosts = new Map([['a', { weight: 2 }], ['b', { weight: 1 }]]);
 * of(hosts).pipe(weighted((host) => host.weight)).subscribe((selector) => {
 *   const picked = [1, 2, 3].map(() => selector.pickEntry()?.[0]);
 *   console.log(picked); // [ 'a', 'b', 'a' ]
 * });
 * ```
 */
export function weighted<T>(
  weightOf: (host: T, key: string) => number,
  options: WeightedOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  checkFunction('weightOf', weightOf);
  checkOptions('options', options, { random: true });
  const { random = Math.random } = options;
  checkFunction('options.random', random);
  return selectBy<T>((): SelectionState<T> => new TurnState(weightOf, random));
}

/** A host's next turn: it may come from `start` on, and should have come by `due` (virtual times). */
interface Turn extends HeapItem {
  readonly key: string;
  readonly tie: number;
  weight: number;
  start: number;
  due: number;
}

// Sums of fractions are not exact; a host must not miss its turn by the rounding.
const TOLERANCE = 1e-6;
// Virtual time grows without a limit, and precision with it is lost: it is set back before that matters.
const PICKS_BETWEEN_RESETS = 2 ** 20;
// Beyond these, the reciprocal of a weight is not a number to calculate with.
const [LEAST_WEIGHT, MOST_WEIGHT] = [1e-30, 1e30];

class TurnState<T> implements SelectionState<T> {
  readonly #weightOf: (host: T, key: string) => number;
  readonly #random: () => number;
  readonly #turns = new Map<string, Turn>();
  readonly #waiting = new Heap<Turn>((a, b) => a.start < b.start);
  readonly #eligible = new Heap<Turn>((a, b) => a.due < b.due || (a.due === b.due && a.tie < b.tie));
  // The mean of all starts, by weight. It advances by 1/total with each pick, a start by 1/weight with its own: a host
  // that is behind the mean has had less than its share.
  #now = 0;
  #total = 0;
  #picks = 0;

  constructor(weightOf: (host: T, key: string) => number, random: () => number) {
    this.#weightOf = weightOf;
    this.#random = random;
  }

  // Also for a host that is in already: `weightOf` may have thrown before all of a change was worked off.
  joined(key: string, host: T): void {
    this.changed(key, host);
  }

  changed(key: string, host: T): void {
    const asked = this.#askedWeight(host, key);
    const weight = asked > 0 && asked < Infinity ? Math.min(Math.max(asked, LEAST_WEIGHT), MOST_WEIGHT) : 0;
    const turn = this.#turns.get(key);
    if (turn?.weight === weight) return;
    if (weight === 0) this.left(key);
    else if (turn !== undefined) this.#reweigh(turn, weight);
    else this.#join(key, weight);
  }

  #askedWeight(host: T, key: string): number {
    try {
      return this.#weightOf(host, key);
    } catch (thrown) {
      throw callbackFailed('weightOf', thrown);
    }
  }

  left(key: string): void {
    const turn = this.#turns.get(key);
    if (turn !== undefined) this.#leave(turn);
  }

  choose(_affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    if (++this.#picks % PICKS_BETWEEN_RESETS === 0) this.#reset();
    const passed: Turn[] = [];
    // `avoid` is the user's and may throw.
    try {
      let turn = this.#next();
      while (turn !== undefined && avoid?.(turn.key) === true) {
        // Out while it is avoided, and level with the rest afterwards: a turn it could not take is no claim.
        this.#leave(turn);
        passed.push(turn);
        turn = this.#next();
      }
      if (turn !== undefined) this.#take(turn);
      return turn?.key;
    } finally {
      for (const other of passed) this.#enter(other);
    }
  }

  #next(): Turn | undefined {
    const latest = this.#now + TOLERANCE / this.#total;
    for (let turn = this.#waiting.peek(); turn !== undefined && turn.start <= latest; turn = this.#waiting.peek()) {
      this.#waiting.remove(turn);
      this.#eligible.push(turn);
    }
    return this.#eligible.peek() ?? this.#waiting.peek();
  }

  /**
   * It takes the place in its round that some other host has in its own: were it always a full round away, a host that
   * comes and goes quickly would never have a turn.
   */
  #join(key: string, weight: number): void {
    const index = randomIndex(this.#turns.size, this.#random);
    const other = this.#eligible.at(index) ?? this.#waiting.at(index - this.#eligible.size);
    const phase = other === undefined ? 0 : (other.start - this.#now) * other.weight;
    this.#enter({ key, weight, tie: this.#random(), start: 0, due: 0, place: -1 }, phase);
  }

  /** What it is owed or has had in advance stays the same part of a turn, so the mean stays where it is. */
  #reweigh(turn: Turn, weight: number): void {
    const phase = (turn.start - this.#now) * turn.weight;
    this.#remove(turn);
    const total = this.#total - turn.weight + weight;
    turn.weight = weight;
    turn.start = this.#now + phase / weight;
    turn.due = turn.start + 1 / weight;
    this.#waiting.push(turn);
    this.#setTotal(total);
  }

  #take(turn: Turn): void {
    this.#remove(turn);
    turn.start = turn.due;
    turn.due += 1 / turn.weight;
    this.#now += 1 / this.#total;
    this.#waiting.push(turn);
  }

  #enter(turn: Turn, phase: number = 0): void {
    turn.start = this.#now + phase / turn.weight;
    turn.due = turn.start + 1 / turn.weight;
    this.#total += turn.weight;
    this.#now += phase / this.#total;
    this.#turns.set(turn.key, turn);
    this.#waiting.push(turn);
  }

  #leave(turn: Turn): void {
    this.#remove(turn);
    this.#turns.delete(turn.key);
    const phase = (turn.start - this.#now) * turn.weight;
    this.#setTotal(this.#total - turn.weight);
    // What it was owed or had in advance is shared by the others.
    if (this.#turns.size > 0) this.#now -= phase / this.#total;
  }

  #remove(turn: Turn): void {
    const heap = this.#eligible.has(turn) ? this.#eligible : this.#waiting;
    heap.remove(turn);
  }

  /** Where a heavy host's weight was taken off, the rounding of it may be more than all the rest: added up again. */
  #setTotal(total: number): void {
    const before = this.#total;
    this.#total = total;
    if (total < before * TOLERANCE) this.#addUp();
  }

  #reset(): void {
    for (const turn of this.#turns.values()) {
      turn.start -= this.#now;
      turn.due -= this.#now;
    }
    this.#now = 0;
    this.#addUp();
  }

  #addUp(): void {
    this.#total = 0;
    for (const { weight } of this.#turns.values()) this.#total += weight;
  }
}
