import { sizeOf, type Leaf, type Node } from './nodes.ts';
import type { SortedTree } from './sorted-tree.ts';

/**
 * Calls back, in the order of keys, for each key that two trees of the same order do not hold with the very same
 * value. What the trees share is not looked into, so the cost follows the difference.
 */
export function diffTrees<K, V>(
  before: SortedTree<K, V>,
  after: SortedTree<K, V>,
  visit: (key: K, before: V | undefined, after: V | undefined) => void,
): void {
  const { isBefore } = after;
  const a = new Walk(before.root);
  const b = new Walk(after.root);
  const removed = (): void => {
    visit(a.key, a.value, undefined);
    a.skip();
  };
  const added = (): void => {
    visit(b.key, undefined, b.value);
    b.skip();
  };
  while (!a.ended && !b.ended) {
    const { height } = a;
    if (height === 0 && b.height === 0) {
      if (isBefore(a.key, b.key)) removed();
      else if (isBefore(b.key, a.key)) added();
      else {
        if (a.value !== b.value) visit(a.key, a.value, b.value);
        a.skip();
        b.skip();
      }
    } else if (a.node === b.node) {
      a.skip();
      b.skip();
    } else {
      // The higher one, or both: so that they come to what they share at the same time.
      const goesDeeper = b.height >= height;
      if (height >= b.height) a.enter();
      if (goesDeeper) b.enter();
    }
  }
  while (!a.ended) {
    if (a.height > 0) a.enter();
    else removed();
  }
  while (!b.ended) {
    if (b.height > 0) b.enter();
    else added();
  }
}

/** A place in a tree: before a node that is not entered yet, or at a pair of a leaf. */
class Walk<K, V> {
  readonly #root: Node<K, V>;
  readonly #levels: number;
  /** The nodes entered, each with the place in it. */
  readonly #path: { readonly node: Node<K, V>; at: number }[] = [];
  ended = false;

  constructor(root: Node<K, V>) {
    this.#root = root;
    this.#levels = levelsOf(root);
  }

  /** Of the node, 0 at a pair. */
  get height(): number {
    return this.#levels - this.#path.length;
  }

  get node(): Node<K, V> | undefined {
    const inside = this.#path.at(-1);
    return inside === undefined ? this.#root : inside.node.children?.[inside.at];
  }

  get key(): K {
    const { node, at } = this.#path.at(-1) as { node: Leaf<K, V>; at: number };
    return node.keys[at] as K;
  }

  get value(): V {
    const { node, at } = this.#path.at(-1) as { node: Leaf<K, V>; at: number };
    return node.values[at] as V;
  }

  enter(): void {
    this.#path.push({ node: this.node as Node<K, V>, at: 0 });
    this.#leaveWhatIsDone();
  }

  skip(): void {
    const inside = this.#path.at(-1);
    if (inside === undefined) this.ended = true;
    else {
      inside.at += 1;
      this.#leaveWhatIsDone();
    }
  }

  #leaveWhatIsDone(): void {
    let inside = this.#path.at(-1);
    while (inside !== undefined && inside.at >= sizeOf(inside.node)) {
      this.#path.pop();
      inside = this.#path.at(-1);
      if (inside === undefined) this.ended = true;
      else inside.at += 1;
    }
  }
}

function levelsOf(root: Node<unknown, unknown>): number {
  let levels = 1;
  for (let node = root; node.children !== undefined; node = node.children[0] as Node<unknown, unknown>) levels += 1;
  return levels;
}
