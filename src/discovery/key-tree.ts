import { compareKeys, needsByteOrder } from '../etcd/keys.ts';
import { diffTrees } from '../sorted-tree/diff-trees.ts';
import { SortedTree, type SortedTreeDraft } from '../sorted-tree/sorted-tree.ts';

/** Keys in etcd's order, that of their bytes. */
export type KeyTree<V> = SortedTree<string, V>;

// Right for all keys below U+D800, and several times faster than comparing bytes.
const inStringOrder = (a: string, b: string): boolean => a < b;
const inByteOrder = (a: string, b: string): boolean => compareKeys(a, b) < 0;

export function emptyKeyTree<V>(): KeyTree<V> {
  return SortedTree.empty(inStringOrder);
}

/** A tree of keys and their values: in O(n) where the keys come in order, as lists do. */
export function keyTreeOf<V>(keys: readonly string[], values: readonly V[]): KeyTree<V> {
  if (keys.every((key, at) => !needsByteOrder(key) && (at === 0 || inStringOrder(keys[at - 1] as string, key)))) {
    return SortedTree.ofSorted(inStringOrder, keys, values);
  }
  const draft = new KeyTreeDraft<V>(emptyKeyTree());
  keys.forEach((key, at) => {
    draft.set(key, values[at] as V);
  });
  return draft.done();
}

/** The next tree of keys in the making. */
export class KeyTreeDraft<V> {
  #draft: SortedTreeDraft<string, V>;

  constructor(from: KeyTree<V>) {
    this.#draft = from.draft();
  }

  set(key: string, value: V): void {
    const isNew = this.#draft.set(key, value);
    if (!isNew || this.#draft.isBefore === inByteOrder || !needsByteOrder(key)) return;
    // The first key whose place JavaScript's order of strings would get wrong.
    this.#draft.delete(key);
    this.#draft = inOrderOfBytes(this.#draft.done()).draft();
    this.#draft.set(key, value);
  }

  /** Whether the key was there. */
  delete(key: string): boolean {
    return this.#draft.delete(key);
  }

  done(): KeyTree<V> {
    return this.#draft.done();
  }
}

/** As {@link diffTrees}, also when one of the two is in the order of bytes already: once in the life of a prefix. */
export function diffKeyTrees<V>(
  before: KeyTree<V>,
  after: KeyTree<V>,
  visit: (key: string, before: V | undefined, after: V | undefined) => void,
): void {
  if (before.isBefore === after.isBefore) diffTrees(before, after, visit);
  else diffTrees(inOrderOfBytes(before), inOrderOfBytes(after), visit);
}

function inOrderOfBytes<V>(tree: KeyTree<V>): KeyTree<V> {
  if (tree.isBefore === inByteOrder) return tree;
  // No key in it is one that the two orders place differently.
  return new SortedTree(inByteOrder, tree.root, tree.size);
}
