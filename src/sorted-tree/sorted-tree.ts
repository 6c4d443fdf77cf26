import {
  countBefore,
  countUpTo,
  find,
  Inner,
  Leaf,
  leaves,
  pairAfter,
  sizeOf,
  type Node,
  type Order,
} from './nodes.ts';

/** A change copies one node of each level: larger ones copy more, smaller ones make more levels. */
const MAX_SIZE = 32;

/** A node with fewer keys or children is joined with one beside it. */
const MIN_SIZE = 8;

/** How full the nodes of a list are: with room for a few keys more. */
const LISTED_SIZE = 28;

/**
 * An immutable map in the order of its keys: a B+ tree whose changed copies share all nodes but those on the path to
 * the change. No value is `undefined`.
 *
 * @source Driscoll, Sarnak, Sleator, Tarjan: Making Data Structures Persistent, 1989 (https://doi.org/10.1016/0022-0000(89)90034-2)
 */
export class SortedTree<K, V> {
  readonly isBefore: Order<K>;
  readonly root: Node<K, V>;
  readonly size: number;

  constructor(isBefore: Order<K>, root: Node<K, V>, size: number) {
    this.isBefore = isBefore;
    this.root = root;
    this.size = size;
  }

  static empty<K, V>(isBefore: Order<K>): SortedTree<K, V> {
    return new SortedTree<K, V>(isBefore, new Leaf([], []), 0);
  }

  /** A tree of keys that are all different and in order, in O(n). */
  static ofSorted<K, V>(isBefore: Order<K>, keys: readonly K[], values: readonly V[]): SortedTree<K, V> {
    if (keys.length === 0) return SortedTree.empty(isBefore);
    let level = evenly(keys.length, (from, to): LowNode<K, V> => ({
      low: keys[from] as K,
      node: new Leaf(keys.slice(from, to), values.slice(from, to)),
    }));
    while (level.length > 1) {
      const below = level;
      level = evenly(below.length, (from, to) => {
        const children = below.slice(from, to);
        const separators = children.slice(1).map(({ low }) => low);
        const { low } = children[0] as LowNode<K, V>;
        return {
          low,
          node: new Inner(
            separators,
            children.map(({ node }) => node),
          ),
        };
      });
    }
    return new SortedTree(isBefore, (level[0] as LowNode<K, V>).node, keys.length);
  }

  /** O(log n). */
  get(key: K): V | undefined {
    return find(this.root, key, this.isBefore);
  }

  /** The first pair whose key comes after `key`, the first of all for `undefined`. O(log n). */
  pairAfter(key: K | undefined): [K, V] | undefined {
    return pairAfter(this.root, key, this.isBefore);
  }

  *entries(): Generator<[K, V], undefined> {
    for (const { keys, values } of leaves(this.root)) {
      for (let at = 0; at < keys.length; at++) yield [keys[at] as K, values[at] as V];
    }
  }

  forEach(visit: (key: K, value: V) => void): void {
    for (const { keys, values } of leaves(this.root)) {
      for (let at = 0; at < keys.length; at++) visit(keys[at] as K, values[at] as V);
    }
  }

  /** Begins the next tree; this one stays as it is. O(1). */
  draft(): SortedTreeDraft<K, V> {
    return new SortedTreeDraft(this);
  }
}

/** The next tree in the making: a node is copied once, and changed in place from then on. */
export class SortedTreeDraft<K, V> {
  readonly isBefore: Order<K>;
  #root: Node<K, V>;
  size: number;
  /** Marks the nodes that nobody else has. A number, because every node would hold on to an object. */
  #mark: number = newMark();

  constructor(from: SortedTree<K, V>) {
    this.isBefore = from.isBefore;
    this.#root = from.root;
    this.size = from.size;
  }

  get(key: K): V | undefined {
    return find(this.#root, key, this.isBefore);
  }

  pairAfter(key: K | undefined): [K, V] | undefined {
    return pairAfter(this.#root, key, this.isBefore);
  }

  /** Whether the key was not there before. */
  set(key: K, value: V): boolean {
    const { size } = this;
    const root = this.#set(this.#root, key, value);
    if (sizeOf(root) <= MAX_SIZE) this.#root = root;
    else {
      const { left, separator, right } = this.#split(root);
      this.#root = new Inner([separator], [left, right], this.#mark);
    }
    return this.size > size;
  }

  /** Whether there was anything to delete. */
  delete(key: K): boolean {
    if (this.get(key) === undefined) return false;
    this.size -= 1;
    const root = this.#delete(this.#root, key);
    this.#root = root.children?.length === 1 ? (root.children[0] as Node<K, V>) : root;
    return true;
  }

  /** What it is now. The draft can go on from there. */
  done(): SortedTree<K, V> {
    this.#mark = newMark();
    return new SortedTree(this.isBefore, this.#root, this.size);
  }

  /** The node, or a copy that may be changed. */
  #own(node: Node<K, V>): Node<K, V> {
    if (node.draft === this.#mark) return node;
    return node.children === undefined
      ? new Leaf(node.keys, node.values.slice(), this.#mark)
      : new Inner(node.keys, node.children.slice(), this.#mark);
  }

  #set(node: Node<K, V>, key: K, value: V): Node<K, V> {
    const own = this.#own(node);
    if (own.children === undefined) {
      const at = countBefore(own.keys, key, this.isBefore);
      if (at < own.keys.length && !this.isBefore(key, own.keys[at] as K)) own.values[at] = value;
      else {
        own.keys = own.keys.toSpliced(at, 0, key);
        own.values.splice(at, 0, value);
        this.size += 1;
      }
      return own;
    }
    const at = countUpTo(own.keys, key, this.isBefore);
    const child = this.#set(own.children[at] as Node<K, V>, key, value);
    if (sizeOf(child) <= MAX_SIZE) own.children[at] = child;
    else {
      const { left, separator, right } = this.#split(child);
      own.children.splice(at, 1, left, right);
      own.keys = own.keys.toSpliced(at, 0, separator);
    }
    return own;
  }

  #delete(node: Node<K, V>, key: K): Node<K, V> {
    const own = this.#own(node);
    if (own.children === undefined) {
      const at = countBefore(own.keys, key, this.isBefore);
      own.keys = own.keys.toSpliced(at, 1);
      own.values.splice(at, 1);
      return own;
    }
    const at = countUpTo(own.keys, key, this.isBefore);
    const child = this.#delete(own.children[at] as Node<K, V>, key);
    own.children[at] = child;
    if (sizeOf(child) < MIN_SIZE) this.#join(own, Math.max(0, at - 1));
    return own;
  }

  /** Makes one node of the child at `at` and the next one; or two of the same size, when it would be too large. */
  #join(parent: Inner<K, V>, at: number): void {
    const [left, right] = parent.children.slice(at, at + 2) as [Node<K, V>, Node<K, V>];
    const separator = parent.keys[at] as K;
    const joined =
      left.children === undefined
        ? new Leaf([...left.keys, ...right.keys], [...left.values, ...(right as Leaf<K, V>).values], this.#mark)
        : new Inner(
            [...left.keys, separator, ...right.keys],
            [...left.children, ...(right as Inner<K, V>).children],
            this.#mark,
          );
    if (sizeOf(joined) <= MAX_SIZE) {
      parent.children.splice(at, 2, joined);
      parent.keys = parent.keys.toSpliced(at, 1);
    } else {
      const halves = this.#split(joined);
      parent.children.splice(at, 2, halves.left, halves.right);
      parent.keys = parent.keys.with(at, halves.separator);
    }
  }

  #split({ keys, values, children }: Node<K, V>): Halves<K, V> {
    if (children === undefined) {
      const middle = keys.length >> 1;
      return {
        left: new Leaf(keys.slice(0, middle), values.slice(0, middle), this.#mark),
        separator: keys[middle] as K,
        right: new Leaf(keys.slice(middle), values.slice(middle), this.#mark),
      };
    }
    const middle = children.length >> 1;
    return {
      left: new Inner(keys.slice(0, middle - 1), children.slice(0, middle), this.#mark),
      // Between the last child on the left and the first on the right.
      separator: keys[middle - 1] as K,
      right: new Inner(keys.slice(middle), children.slice(middle), this.#mark),
    };
  }
}

let marks = 0;

/** One that no node bears. */
function newMark(): number {
  marks += 1;
  return marks;
}

interface Halves<K, V> {
  readonly left: Node<K, V>;
  /** No key on the right comes before it, and all on the left do. */
  readonly separator: K;
  readonly right: Node<K, V>;
}

/** A node, and the first key in it. */
interface LowNode<K, V> {
  readonly low: K;
  readonly node: Node<K, V>;
}

/** Cuts `count` things into nodes of the same size, or nearly. */
function evenly<N>(count: number, node: (from: number, to: number) => N): N[] {
  const nodes = Math.ceil(count / LISTED_SIZE);
  return Array.from({ length: nodes }, (_, index) =>
    node(Math.floor((index * count) / nodes), Math.floor(((index + 1) * count) / nodes)),
  );
}
