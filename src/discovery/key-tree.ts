import BTreeModule from 'sorted-btree';
import bulkLoadModule from 'sorted-btree/extended/bulkLoad.js';
import diffAgainstModule from 'sorted-btree/extended/diffAgainst.js';
import { compareKeys, needsByteOrder } from '../etcd/keys.ts';

// The package is CommonJS with a `default` export of its own, which Node hands over one level down.
const BTree = BTreeModule.default;
const diffAgainst = diffAgainstModule.default;

// The library's own default, which bulk loading has to be told.
const NODE_SIZE = 32;

/** Keys in etcd's order, in a B+ tree whose copies share structure. Mutable: see {@link copyTree}. */
export type KeyTree<V> = BTreeModule.default<string, V>;

export function emptyTree<V>(): KeyTree<V> {
  return new BTree<string, V>(undefined, compareNative);
}

/** A tree of keys and their values, much cheaper than one by one where they come in order, as lists do. Takes the arrays. */
export function treeOf<V>(keys: string[], values: V[]): KeyTree<V> {
  if (keys.every((key, index) => !needsByteOrder(key) && (index === 0 || (keys[index - 1] as string) < key))) {
    return bulkLoadModule.bulkLoad(keys, values, NODE_SIZE, compareNative);
  }
  return keys.reduce((tree, key, index) => setInTree(tree, key, values[index] as V), emptyTree<V>());
}

/** A copy to change, in constant time: what is not changed stays shared. */
export function copyTree<V>(tree: KeyTree<V>): KeyTree<V> {
  return tree.clone();
}

/**
 * Sets a key in a tree of one's own and gives the tree to go on with: another one when this key is the
 * first whose place JavaScript's string order would get wrong.
 */
export function setInTree<V>(tree: KeyTree<V>, key: string, value: V): KeyTree<V> {
  if (tree._compare === compareNative && needsByteOrder(key)) {
    const exact = new BTree<string, V>(undefined, compareKeys);
    tree.forEachPair((k, v) => {
      exact.set(k, v);
    });
    exact.set(key, value);
    return exact;
  }
  tree.set(key, value);
  return tree;
}

/**
 * Calls back, in key order, for each key that the two trees do not hold with the same value (by identity).
 * Shared structure is skipped, so the cost follows the difference.
 */
export function diffTrees<V>(
  before: KeyTree<V>,
  after: KeyTree<V>,
  visit: (key: string, before: V | undefined, after: V | undefined) => void,
): void {
  if (before === after) return;
  const found: [key: string, before: V | undefined, after: V | undefined][] = [];
  const a = inOrderOf(before, after);
  const b = inOrderOf(after, before);
  diffAgainst(
    a,
    b,
    (key, value) => {
      found.push([key, value, undefined]);
    },
    (key, value) => {
      found.push([key, undefined, value]);
    },
    (key, old, now) => {
      if (old !== now) found.push([key, old, now]);
    },
  );
  // The walk visits shared structure in an order of its own.
  found.sort(([x], [y]) => a._compare(x, y));
  for (const difference of found) visit(...difference);
}

/** `tree`, or a copy in byte order when only `other` is in byte order: once in the life of a prefix. */
function inOrderOf<V>(tree: KeyTree<V>, other: KeyTree<V>): KeyTree<V> {
  if (tree._compare === other._compare || tree._compare === compareKeys) return tree;
  return new BTree<string, V>(tree.toArray(), compareKeys);
}

// Right for all keys below U+D800, and several times faster than comparing bytes.
function compareNative(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
