import { invalidArgument } from '../errors.ts';
import { KeyTreeDraft, diffKeyTrees, emptyKeyTree, keyTreeOf, type KeyTree } from './key-tree.ts';
import { SnapshotEntry } from './snapshot-entry.ts';

/** A change to a snapshot: `undefined` removes the key. */
export type EntryChange<T> = readonly [key: string, entry: SnapshotEntry<T> | undefined];

/** The next snapshot in the making: nobody sees it before it is done. Of no use afterwards. */
export class SnapshotDraft<T> {
  readonly #from: Snapshot<T>;
  readonly #tree: KeyTree<SnapshotEntry<T>>;
  /** Undefined until something changes. */
  #draft: KeyTreeDraft<SnapshotEntry<T>> | undefined;
  readonly #make: (tree: KeyTree<SnapshotEntry<T>>, revision: number) => Snapshot<T>;

  constructor(
    from: Snapshot<T>,
    tree: KeyTree<SnapshotEntry<T>>,
    make: (tree: KeyTree<SnapshotEntry<T>>, revision: number) => Snapshot<T>,
  ) {
    this.#from = from;
    this.#tree = tree;
    this.#make = make;
  }

  set(key: string, entry: SnapshotEntry<T>): void {
    (this.#draft ??= new KeyTreeDraft(this.#tree)).set(key, entry);
  }

  delete(key: string): void {
    if (this.#draft !== undefined) this.#draft.delete(key);
    else if (this.#tree.size > 0 && this.#tree.get(key) !== undefined) {
      this.#draft = new KeyTreeDraft(this.#tree);
      this.#draft.delete(key);
    }
  }

  /** The snapshot it began from, when nothing has changed. */
  done(revision: number): Snapshot<T> {
    return this.#draft === undefined ? this.#from : this.#make(this.#draft.done(), revision);
  }
}

/** A key with its value, and what etcd keeps with it. */
export interface Entry<T> {
  readonly key: string;
  readonly value: T;
  /** The revision that wrote it last; 0 in a snapshot that is not etcd's. */
  readonly modRevision: number;
  /** The revision that made the key; 0 in a snapshot that is not etcd's. */
  readonly createRevision: number;
  /** The id of the lease it is attached to, in decimal; `'0'` for none. */
  readonly lease: string;
}

// Its text stands in the error.
const NOT_CLONEABLE = Symbol('a Snapshot, which cannot be cloned: send [...snapshot] instead');

const CONTENTS: PropertyDescriptor & ThisType<Snapshot<unknown>> = {
  enumerable: true,
  get() {
    return [...this];
  },
};

/**
 * What etcd held under a prefix at one revision: an immutable Map in key order.
 *
 * The order is etcd's own, by the keys' UTF-8 bytes. A change makes a new snapshot in O(log n) that shares
 * all else with the one before; old ones stay true for as long as anyone holds them.
 *
 * It is a value: `console.log` shows its entries, `JSON.stringify` writes them, and two are deeply equal when revision
 * and entries are. `structuredClone` refuses it: clone `[...snapshot]`.
 *
 * @example
 * ```ts
 * import { Snapshot } from 'rx-etcd';
 *
 * const hosts = Snapshot.of([['user/a2', '10.0.0.8:80'], ['user/a1', '10.0.0.7:80']]);
 * console.log([...hosts.keys()]); // [ 'user/a1', 'user/a2' ]
 * ```
 */
export class Snapshot<T> implements ReadonlyMap<string, T> {
  /** The revision of etcd's history at which this was true. A JavaScript number: exact up to 2^53. */
  readonly revision: number;
  readonly #tree: KeyTree<SnapshotEntry<T>>;

  /**
   * Says to `structuredClone`, `postMessage` and the like that this is no plain object: a symbol cannot be cloned, and
   * what cannot be seen from outside would be lost in silence.
   *
   * @internal
   */
  readonly kind: symbol = NOT_CLONEABLE;

  private constructor(tree: KeyTree<SnapshotEntry<T>>, revision: number) {
    this.#tree = tree;
    this.revision = revision;
    // Comparisons (`assert.deepStrictEqual`, `toEqual`, lodash) look at an object's own enumerable properties.
    Object.defineProperty(this, 'contents', CONTENTS);
  }

  /** A snapshot of given entries, for tests and for fixed sets of hosts. Later duplicates win. */
  static of<T>(entries: Iterable<readonly [string, T]>, revision: number = 0): Snapshot<T> {
    const tree = new KeyTreeDraft<SnapshotEntry<T>>(emptyKeyTree());
    for (const [key, value] of entries) {
      if (typeof key !== 'string') throw invalidArgument('entries', 'keys that are strings', key);
      tree.set(key, new SnapshotEntry(value));
    }
    return new Snapshot(tree.done(), revision);
  }

  /**
   * The map as a snapshot: itself, or a copy at revision 0.
   *
   * @internal
   */
  static from<T>(map: ReadonlyMap<string, T>): Snapshot<T> {
    return map instanceof Snapshot ? (map as Snapshot<T>) : Snapshot.of(map);
  }

  /** How many keys there are. O(1). */
  get size(): number {
    return this.#tree.size;
  }

  /** The value of a key, `undefined` when the key is absent. O(log n). */
  get(key: string): T | undefined {
    return this.#tree.get(key)?.value;
  }

  /** Whether the key is there. O(log n). */
  has(key: string): boolean {
    return this.#tree.get(key) !== undefined;
  }

  /** The first entry whose key comes after `key` in key order, the first of all for `undefined`. O(log n). */
  entryAfter(key: string | undefined): readonly [string, T] | undefined {
    const pair = this.#tree.pairAfter(key);
    return pair === undefined ? undefined : [pair[0], pair[1].value];
  }

  /** Calls back for each entry, in key order. */
  forEach(callback: (value: T, key: string, map: ReadonlyMap<string, T>) => void, thisArg?: unknown): void {
    this.#tree.forEach((key, entry) => {
      callback.call(thisArg, entry.value, key, this);
    });
  }

  *entries(): MapIterator<[string, T]> {
    for (const [key, entry] of this.#tree.entries()) yield [key, entry.value];
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.#tree.entries()) yield key;
  }

  *values(): MapIterator<T> {
    for (const [, entry] of this.#tree.entries()) yield entry.value;
  }

  /** The entries in key order. */
  [Symbol.iterator](): MapIterator<[string, T]> {
    return this.entries();
  }

  /** The key with all that etcd keeps with it, `undefined` when the key is absent. O(log n). */
  entry(key: string): Entry<T> | undefined {
    const found = this.#tree.get(key);
    if (found === undefined) return undefined;
    const { value, modRevision, createRevision, lease } = found;
    return { key, value, modRevision, createRevision, lease };
  }

  /** In JSON a snapshot is the array of its entries, `[key, value]`: `Snapshot.of(JSON.parse(text))` is one again. */
  toJSON(): [key: string, value: T][] {
    return [...this];
  }

  /**
   * `console.log` shows it like a Map.
   *
   * @internal
   */
  [Symbol.for('nodejs.util.inspect.custom')](
    depth: number,
    options: { readonly maxArrayLength?: number | null },
    inspect: (value: unknown, options: object) => string,
  ): string {
    const name = `Snapshot(${this.size}) [revision ${this.revision}]`;
    if (depth < 0) return `[${name}]`;
    // As many as are shown: copying a million entries to print a hundred would take a second.
    const most = options.maxArrayLength ?? (options.maxArrayLength === null ? Infinity : 100);
    const shown = new Map<string, T>();
    for (const [key, value] of this) {
      if (shown.size >= most) break;
      shown.set(key, value);
    }
    const text = inspect(shown, options).replace(/^Map\(\d+\)/, name);
    const hidden = this.size - shown.size;
    return hidden === 0 ? text : `${text.slice(0, -1).trimEnd()}${shown.size > 0 ? ',' : ''} ... ${hidden} more }`;
  }

  /**
   * Used by this library to make the next snapshot: changes applied, at a later revision. O(k log n).
   *
   * @internal
   */
  static change<T>(from: Snapshot<T>, changes: Iterable<EntryChange<T>>, revision: number): Snapshot<T> {
    const draft = new KeyTreeDraft(from.#tree);
    for (const [key, entry] of changes) {
      if (entry === undefined) draft.delete(key);
      else draft.set(key, entry);
    }
    return new Snapshot(draft.done(), revision);
  }

  /**
   * Begins the next snapshot.
   *
   * @internal
   */
  static draft<T>(from: Snapshot<T>): SnapshotDraft<T> {
    return new SnapshotDraft(from, from.#tree, Snapshot.#make);
  }

  static readonly #make = <T>(tree: KeyTree<SnapshotEntry<T>>, revision: number): Snapshot<T> =>
    new Snapshot(tree, revision);

  /**
   * A snapshot of a list, best in key order.
   *
   * @internal
   */
  static listed<T>(keys: string[], entries: SnapshotEntry<T>[], revision: number): Snapshot<T> {
    return new Snapshot(keyTreeOf(keys, entries), revision);
  }

  /** @internal */
  static record<T>(snapshot: Snapshot<T>, key: string): SnapshotEntry<T> | undefined {
    return snapshot.#tree.get(key);
  }

  /** @internal */
  static *records<T>(snapshot: Snapshot<T>): Generator<[string, SnapshotEntry<T>], undefined> {
    yield* snapshot.#tree.entries();
  }

  /**
   * Calls back for every key whose entry differs, in key order; skips what the two share.
   *
   * @internal
   */
  static diff<T>(
    before: Snapshot<T>,
    after: Snapshot<T>,
    visit: (key: string, before: SnapshotEntry<T> | undefined, after: SnapshotEntry<T> | undefined) => void,
  ): void {
    diffKeyTrees(before.#tree, after.#tree, visit);
  }
}
