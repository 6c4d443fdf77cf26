/** Whether `a` comes before `b`. */
export type Order<K> = (a: K, b: K) => boolean;

/**
 * A node of a B+ tree. The draft that made it may change it in place, as long as nobody else has it. Arrays of keys
 * are never changed, so that a node and its copy share them when only a value or a child is another one.
 *
 * Made by constructors, not as literals: V8 learns where literals live long, and makes those in its old generation from
 * then on. Of a tree that takes along all that the versions after it hold, until a full collection.
 *
 * @source https://dl.acm.org/doi/10.1145/2754169.2754181
 */
export type Node<K, V> = Leaf<K, V> | Inner<K, V>;

export class Leaf<K, V> {
  keys: readonly K[];
  readonly values: V[];
  readonly children: undefined;
  /** Which draft made it: the mark of that one, 0 for none. */
  readonly draft: number;

  constructor(keys: readonly K[], values: V[], draft: number = 0) {
    this.keys = keys;
    this.values = values;
    this.children = undefined;
    this.draft = draft;
  }
}

export class Inner<K, V> {
  /** For each child but the first: no key in it comes before this one, and all keys in the child before do. */
  keys: readonly K[];
  readonly values: undefined;
  readonly children: Node<K, V>[];
  readonly draft: number;

  constructor(keys: readonly K[], children: Node<K, V>[], draft: number = 0) {
    this.keys = keys;
    this.values = undefined;
    this.children = children;
    this.draft = draft;
  }
}

/** How many keys a leaf holds, or how many children another node has. */
export function sizeOf({ children, keys }: Node<unknown, unknown>): number {
  return children === undefined ? keys.length : children.length;
}

/** How many of these keys come before `key`: in a leaf, the place where it is or would be. */
export function countBefore<K>(keys: readonly K[], key: K, isBefore: Order<K>): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(keys[middle] as K, key)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of these keys do not come after `key`: in an inner node, the place of the child that would hold it. */
export function countUpTo<K>(keys: readonly K[], key: K, isBefore: Order<K>): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(key, keys[middle] as K)) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function find<K, V>(root: Node<K, V>, key: K, isBefore: Order<K>): V | undefined {
  let node = root;
  while (node.children !== undefined) node = node.children[countUpTo(node.keys, key, isBefore)] as Node<K, V>;
  const at = countBefore(node.keys, key, isBefore);
  return at < node.keys.length && !isBefore(key, node.keys[at] as K) ? node.values[at] : undefined;
}

export function pairAfter<K, V>(node: Node<K, V>, key: K | undefined, isBefore: Order<K>): [K, V] | undefined {
  const at = key === undefined ? 0 : countUpTo(node.keys, key, isBefore);
  if (node.children === undefined) {
    return at < node.keys.length ? [node.keys[at] as K, node.values[at] as V] : undefined;
  }
  const pair = pairAfter(node.children[at] as Node<K, V>, key, isBefore);
  if (pair !== undefined) return pair;
  const next = node.children[at + 1];
  return next && pairAfter(next, undefined, isBefore);
}

export function* leaves<K, V>(node: Node<K, V>): Generator<Leaf<K, V>, undefined> {
  if (node.children === undefined) yield node;
  else for (const child of node.children) yield* leaves(child);
}
