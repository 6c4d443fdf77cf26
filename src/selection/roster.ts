// Enough that, with half of the hosts to be avoided, about one pick in 250 has to search.
const TRIES = 8;

/** A set of keys that gives a random one in constant time. */
export class Roster {
  readonly #keys: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  add(key: string): void {
    this.#places.set(key, this.#keys.length);
    this.#keys.push(key);
  }

  remove(key: string): void {
    const place = this.#places.get(key);
    const last = this.#keys.pop();
    if (place === undefined || last === undefined) return;
    this.#places.delete(key);
    if (last === key) return;
    this.#keys[place] = last;
    this.#places.set(last, place);
  }

  /** A key at random among those not to be avoided. */
  sample(avoid: ((key: string) => boolean) | undefined): string | undefined {
    const keys = this.#keys;
    for (let i = 0; i < TRIES && keys.length > 0; i++) {
      const key = keys[this.#index(keys.length)] as string;
      if (avoid?.(key) !== true) return key;
    }
    return this.#search(avoid);
  }

  /** Two different keys at random, as far as there are two, of those not to be avoided. */
  samplePair(avoid: ((key: string) => boolean) | undefined): [string | undefined, string | undefined] {
    const count = this.#keys.length;
    if (avoid === undefined && count > 1) {
      const first = this.#index(count);
      const second = this.#index(count - 1);
      return [this.#keys[first], this.#keys[second < first ? second : second + 1]];
    }
    const first = this.sample(avoid);
    return [first, first === undefined ? undefined : this.sample((key) => key === first || avoid?.(key) === true)];
  }

  #search(avoid: ((key: string) => boolean) | undefined): string | undefined {
    const keys = this.#keys;
    const from = this.#index(keys.length);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[(from + i) % keys.length] as string;
      if (avoid?.(key) !== true) return key;
    }
    return undefined;
  }

  #index(count: number): number {
    return Math.floor(this.#random() * count);
  }
}
