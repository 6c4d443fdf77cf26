import { countBefore, type Node } from '../../sorted-tree/nodes.ts';
import type { SortedTree } from '../../sorted-tree/sorted-tree.ts';

/**
 * Keys as strings of one character a byte: their order is that of the bytes. `end` is `undefined` for the one key
 * `start`, and empty for all keys from there on.
 */
export interface KeyRange {
  readonly start: string;
  readonly end: string | undefined;
}

export function keyText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function keyBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A range as etcd's requests give it: an end of one zero byte means all keys from `key` on, and so does an empty one. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array | undefined): KeyRange {
  const end = rangeEnd === undefined ? undefined : keyText(rangeEnd);
  return { start: keyText(key), end: end === '\0' ? '' : end };
}

export function isInRange({ start, end }: KeyRange, key: string): boolean {
  if (end === undefined) return key === start;
  return key >= start && (end === '' || key < end);
}

/** The values of the keys in a range, in the order of the keys. */
export function* valuesInRange<V>(tree: SortedTree<string, V>, range: KeyRange): Generator<V, undefined> {
  const { start, end } = range;
  if (end === undefined) {
    const value = tree.get(start);
    if (value !== undefined) yield value;
    return;
  }
  for (const { keys, values, from } of leavesFrom(tree.root, start)) {
    for (let at = from; at < keys.length; at++) {
      if (end !== '' && (keys[at] as string) >= end) return;
      yield values[at] as V;
    }
  }
}

interface LeafFrom<V> {
  readonly keys: readonly string[];
  readonly values: readonly V[];
  readonly from: number;
}

function* leavesFrom<V>(node: Node<string, V>, start: string | undefined): Generator<LeafFrom<V>, undefined> {
  if (node.children === undefined) {
    yield {
      keys: node.keys,
      values: node.values,
      from: start === undefined ? 0 : countBefore(node.keys, start, isBefore),
    };
    return;
  }
  const first = start === undefined ? 0 : countBefore(node.keys, start, isBefore);
  for (let at = first; at < node.children.length; at++) {
    yield* leavesFrom(node.children[at] as Node<string, V>, at === first ? start : undefined);
  }
}

export function isBefore(a: string, b: string): boolean {
  return a < b;
}
