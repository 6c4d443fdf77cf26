/** What a {@link Heap} keeps: an item that knows its place in it. */
export interface HeapItem {
  /** Kept by the heap. */
  place: number;
}

/** A binary heap that can also take out an item from its middle, in O(log n). */
export class Heap<I extends HeapItem> {
  readonly #items: I[] = [];
  readonly #before: (a: I, b: I) => boolean;

  constructor(before: (a: I, b: I) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The item at a place, in no particular order but for the first. */
  at(place: number): I | undefined {
    return this.#items[place];
  }

  peek(): I | undefined {
    return this.#items[0];
  }

  has(item: I): boolean {
    return this.#items[item.place] === item;
  }

  push(item: I): void {
    this.#put(item, this.#items.length);
    this.#rise(item);
  }

  remove(item: I): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, item.place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(item: I): void {
    while (item.place > 0) {
      const parent = this.#items[(item.place - 1) >> 1] as I;
      if (!this.#before(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: I): void {
    for (;;) {
      const left = this.#items[2 * item.place + 1];
      const right = this.#items[2 * item.place + 2];
      const child = right !== undefined && left !== undefined && this.#before(right, left) ? right : left;
      if (child === undefined || !this.#before(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: I, b: I): void {
    const place = a.place;
    this.#put(a, b.place);
    this.#put(b, place);
  }

  #put(item: I, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }
}
