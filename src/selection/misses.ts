/** The hosts that failed one call, or let it wait until it was given up, since it last succeeded. */
export class Misses {
  readonly #keys = new Set<string>();
  #last: string | undefined;

  readonly has = (key: string): boolean => this.#keys.has(key);
  readonly isLast = (key: string): boolean => key === this.#last;

  isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  add(key: string): void {
    this.#keys.add(key);
    this.#last = key;
  }

  clear(): void {
    this.#keys.clear();
    this.#last = undefined;
  }

  /** Begins a new round, when every host has failed. */
  forgetAllButLast(): void {
    const last = this.#last;
    this.clear();
    if (last !== undefined) this.add(last);
  }
}
