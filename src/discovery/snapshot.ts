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

/**
 * What etcd held under a prefix at one revision: an immutable Map in key order.
 *
 * The order is etcd's own, by the keys' UTF-8 bytes. A change makes a new snapshot in O(log n) that shares
 * all else with the one before; old ones stay true for as long as anyone holds them.
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

  private constructor(tree: KeyTree<SnapshotEntry<T>>, revision: number) {
    this.#tree = tree;
    this.revision = revision;
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

  get [Symbol.toStringTag](): string {
    return 'Snapshot';
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
  static entry<T>(snapshot: Snapshot<T>, key: string): SnapshotEntry<T> | undefined {
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
