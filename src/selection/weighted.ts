import type { OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { Heap, type HeapItem } from './heap.ts';
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
 * A smooth weighted round robin: after any number of picks among unchanged hosts, each has been picked as
 * often as its exact share says, give or take less than one. With the weights 5, 1 and 1 that is `a b a a c a a`,
 * not `a a a a a b c`. The rotation goes on through membership changes: nobody loses the place, a newcomer
 * begins somewhere in its first round and gets no catching up, and a changed weight counts from then on.
 *
 * A pick takes O(log n); the first after a membership change also the difference's size between
 * `Snapshot`s, the map's size otherwise. As cold as its source, with one selector for each emission.
 *
 * @param weightOf - a host's weight, in any unit. What is not above 0 and finite leaves the host out.
 *   Asked once for each value of each host; when it throws, the pick does.
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
  const { random = Math.random } = options;
  if (typeof weightOf !== 'function') throw invalidArgument('weightOf', 'a function', weightOf);
  return selectBy<T>((): SelectionState<T> => new TurnState(weightOf, random), random);
}

/** A host's next turn: it may come from `start` on, and should have come by `due` (virtual times). */
interface Turn extends HeapItem {
  readonly key: string;
  readonly weight: number;
  readonly tie: number;
  start: number;
  due: number;
}

// Sums of fractions are not exact; a host must not miss its turn by the rounding.
const TOLERANCE = 1e-6;
// Virtual time grows without end, and precision with it is lost: it is set back before that matters.
const PICKS_BETWEEN_RESETS = 2 ** 20;

class TurnState<T> implements SelectionState<T> {
  readonly #weightOf: (host: T, key: string) => number;
  readonly #random: () => number;
  readonly #turns = new Map<string, Turn>();
  readonly #waiting = new Heap<Turn>((a, b) => a.start < b.start);
  readonly #eligible = new Heap<Turn>((a, b) => a.due < b.due || (a.due === b.due && a.tie < b.tie));
  // The mean of all starts, by weight. It advances by 1/total with each pick, a start by 1/weight with its
  // own: who is behind the mean has had less than its share.
  #now = 0;
  #total = 0;
  #picks = 0;

  constructor(weightOf: (host: T, key: string) => number, random: () => number) {
    this.#weightOf = weightOf;
    this.#random = random;
  }

  joined(key: string, host: T): void {
    // Once more for the same host only when `weightOf` threw before the change was worked off.
    this.left(key);
    const weight = this.#weightOf(host, key);
    if (!(weight > 0 && weight < Infinity)) return;
    // It takes the place in its round that some other host has in its own: were it always a full round away, a
    // host that comes and goes quickly would never have a turn.
    const other = this.#someone();
    const phase = other === undefined ? 0 : (other.start - this.#now) * other.weight;
    this.#enter({ key, weight, tie: this.#random(), start: 0, due: 0, place: -1 }, phase);
  }

  changed(key: string, host: T): void {
    if (this.#turns.get(key)?.weight !== this.#weightOf(host, key)) this.joined(key, host);
  }

  left(key: string): void {
    const turn = this.#turns.get(key);
    if (turn !== undefined) this.#leave(turn);
  }

  choose(_affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    if (++this.#picks % PICKS_BETWEEN_RESETS === 0) this.#reset();
    const passed: Turn[] = [];
    let turn = this.#next();
    while (turn !== undefined && avoid?.(turn.key) === true) {
      // Out while it is avoided, and level with the rest afterwards: a turn it could not take is no claim.
      this.#leave(turn);
      passed.push(turn);
      turn = this.#next();
    }
    if (turn !== undefined) this.#take(turn);
    for (const other of passed) this.#enter(other);
    return turn?.key;
  }

  #next(): Turn | undefined {
    const latest = this.#now + TOLERANCE / this.#total;
    for (let turn = this.#waiting.peek(); turn !== undefined && turn.start <= latest; turn = this.#waiting.peek()) {
      this.#waiting.remove(turn);
      this.#eligible.push(turn);
    }
    return this.#eligible.peek() ?? this.#waiting.peek();
  }

  #someone(): Turn | undefined {
    const index = Math.floor(this.#random() * this.#turns.size);
    return this.#eligible.at(index) ?? this.#waiting.at(index - this.#eligible.size);
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
    const rest = this.#total - turn.weight;
    // What it was owed or had in advance is shared by the others: the mean of their starts.
    if (this.#turns.size > 0) this.#now = (this.#now * this.#total - turn.start * turn.weight) / rest;
    this.#total = this.#turns.size > 0 ? rest : 0;
  }

  #remove(turn: Turn): void {
    const heap = this.#eligible.has(turn) ? this.#eligible : this.#waiting;
    heap.remove(turn);
  }

  #reset(): void {
    this.#total = 0;
    for (const turn of this.#turns.values()) {
      turn.start -= this.#now;
      turn.due -= this.#now;
      this.#total += turn.weight;
    }
    this.#now = 0;
  }
}
