// Enough that, with half of the hosts to be avoided, about one pick in 250 has to search.
const TRIES = 8;

/** A place from 0 and below `count`, also when the user's `random` gives something that is not in [0, 1). */
export function randomIndex(count: number, random: () => number): number {
  const index = Math.floor(random() * count);
  return index >= 0 && index < count ? index : 0;
}

/** A set of keys that gives a random one in constant time. */
export class RandomSet {
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
    if (this.#places.has(key)) return;
    this.#places.set(key, this.#keys.length);
    this.#keys.push(key);
  }

  remove(key: string): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    const last = this.#keys.pop() as string;
    if (last === key) return;
    this.#keys[place] = last;
    this.#places.set(last, place);
  }

  /** A key at random among those not to be avoided. */
  sample(avoid: ((key: string) => boolean) | undefined): string | undefined {
    const keys = this.#keys;
    for (let i = 0; i < TRIES && keys.length > 0; i++) {
      const key = keys[randomIndex(keys.length, this.#random)] as string;
      if (avoid?.(key) !== true) return key;
    }
    return this.#search(avoid);
  }

  /** Two different keys at random, as far as there are two, of those not to be avoided. */
  samplePair(avoid: ((key: string) => boolean) | undefined): [string | undefined, string | undefined] {
    const count = this.#keys.length;
    if (avoid === undefined && count > 1) {
      const first = randomIndex(count, this.#random);
      const second = randomIndex(count - 1, this.#random);
      return [this.#keys[first], this.#keys[second < first ? second : second + 1]];
    }
    const first = this.sample(avoid);
    return [first, first === undefined ? undefined : this.sample((key) => key === first || avoid?.(key) === true)];
  }

  #search(avoid: ((key: string) => boolean) | undefined): string | undefined {
    const keys = this.#keys;
    const from = randomIndex(keys.length, this.#random);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[(from + i) % keys.length] as string;
      if (avoid?.(key) !== true) return key;
    }
    return undefined;
  }
}
