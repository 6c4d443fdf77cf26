import { invalidArgument } from '../errors.ts';
import { copyTree, diffTrees, emptyTree, setInTree, treeOf, type KeyTree } from './key-tree.ts';

/** What a snapshot keeps of a key. Replaced, never changed, so identity tells whether anything happened. */
export interface SnapshotEntry<T> {
  readonly value: T;
  readonly modRevision: number;
  readonly lease: string;
}

/** A change to a snapshot: `undefined` removes the key. */
export type EntryChange<T> = readonly [key: string, entry: SnapshotEntry<T> | undefined];

/** The next snapshot in the making. Of no use after `done`. */
export interface SnapshotDraft<T> {
  has(key: string): boolean;
  set(key: string, entry: SnapshotEntry<T>): void;
  delete(key: string): boolean;
  done(revision: number): Snapshot<T>;
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
    let tree = emptyTree<SnapshotEntry<T>>();
    for (const [key, value] of entries) {
      if (typeof key !== 'string') throw invalidArgument('entries', 'keys that are strings', key);
      tree = setInTree(tree, key, { value, modRevision: 0, lease: '0' });
    }
    return new Snapshot(tree, revision);
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
    return this.#tree.has(key);
  }

  /** The first entry whose key comes after `key` in key order, the first of all for `undefined`. O(log n). */
  entryAfter(key: string | undefined): readonly [string, T] | undefined {
    const pair = this.#tree.nextHigherPair(key);
    return pair === undefined ? undefined : [pair[0], pair[1].value];
  }

  /** Calls back for each entry, in key order. */
  forEach(callback: (value: T, key: string, map: ReadonlyMap<string, T>) => void, thisArg?: unknown): void {
    this.#tree.forEachPair((key, entry) => {
      callback.call(thisArg, entry.value, key, this);
    });
  }

  *entries(): MapIterator<[string, T]> {
    for (const [key, entry] of this.#tree.entries()) yield [key, entry.value];
  }

  *keys(): MapIterator<string> {
    yield* this.#tree.keys();
  }

  *values(): MapIterator<T> {
    for (const entry of this.#tree.values()) yield entry.value;
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
    let tree = copyTree(from.#tree);
    for (const [key, entry] of changes) {
      if (entry === undefined) tree.delete(key);
      else tree = setInTree(tree, key, entry);
    }
    return new Snapshot(tree, revision);
  }

  /**
   * A snapshot to be, which begins as a copy of `from`: what is changed in it is not seen by anyone before it is done.
   *
   * @internal
   */
  static draft<T>(from: Snapshot<T>): SnapshotDraft<T> {
    let tree = copyTree(from.#tree);
    return {
      has: (key) => tree.has(key),
      set: (key, entry) => {
        tree = setInTree(tree, key, entry);
      },
      delete: (key) => tree.delete(key),
      done: (revision) => new Snapshot(tree, revision),
    };
  }

  /**
   * A snapshot of a list, best in key order. Takes the arrays.
   *
   * @internal
   */
  static listed<T>(keys: string[], entries: SnapshotEntry<T>[], revision: number): Snapshot<T> {
    return new Snapshot(treeOf(keys, entries), revision);
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
    diffTrees(before.#tree, after.#tree, visit);
  }
}
