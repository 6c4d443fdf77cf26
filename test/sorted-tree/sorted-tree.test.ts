import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffTrees } from '../../src/sorted-tree/diff-trees.ts';
import type { Node } from '../../src/sorted-tree/nodes.ts';
import { SortedTree } from '../../src/sorted-tree/sorted-tree.ts';

type Tree = SortedTree<number, string>;
const isBefore = (a: number, b: number): boolean => a < b;

/** All that must hold of every tree, whatever made it. */
function expectSound(tree: Tree): void {
  const depths = new Set<number>();
  const visit = (node: Node<number, string>, depth: number, low: number, high: number): void => {
    const isRoot = depth === 0;
    const inOrder = node.keys.every((key, at) => at === 0 || (node.keys[at - 1] as number) < key);
    expect(inOrder && node.keys.every((key) => key >= low && key < high)).toBe(true);
    if (node.children === undefined) {
      depths.add(depth);
      expect(node.values).toHaveLength(node.keys.length);
      expect(node.keys.length).toBeLessThanOrEqual(32);
      if (!isRoot) expect(node.keys.length).toBeGreaterThanOrEqual(8);
      return;
    }
    expect(node.keys).toHaveLength(node.children.length - 1);
    expect(node.children.length).toBeLessThanOrEqual(32);
    expect(node.children.length).toBeGreaterThanOrEqual(isRoot ? 2 : 8);
    node.children.forEach((child, at) => {
      visit(child, depth + 1, at === 0 ? low : (node.keys[at - 1] as number), node.keys[at] ?? high);
    });
  };
  visit(tree.root, 0, -Infinity, Infinity);
  expect(depths.size).toBe(1);
}

function nodesOf(node: Node<number, string>): Set<unknown> {
  return new Set([node, ...(node.children ?? []).flatMap((child) => [...nodesOf(child)])]);
}

const pairs = (model: ReadonlyMap<number, string>): [number, string][] => [...model].sort(([a], [b]) => a - b);

/** A run of changes to neighbouring keys: one by one, they would hardly ever fill or empty a node. */
const change = fc.record({
  from: fc.nat(2500),
  count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 900 })),
  step: fc.constantFrom(1, 1, 2, 7, -1),
  value: fc.option(fc.string({ maxLength: 2 }), { nil: undefined }),
});

// The first test, so that its draft is the first one: the mark of nodes that no draft made must not be that one's.
test("the nodes of a list are no draft's own", () => {
  const tree = SortedTree.ofSorted(isBefore, [1, 2], ['a', 'b']);
  tree.draft().set(1, 'another');
  expect(tree.get(1)).toBe('a');
});

test('it is a map in key order, balanced, and earlier trees stay as they were, whatever is changed', () => {
  fc.assert(
    fc.property(
      fc.nat(2000),
      fc.array(fc.record({ changes: fc.array(change, { maxLength: 4 }), back: fc.nat(2) }), { maxLength: 12 }),
      (listed, steps) => {
        const keys = Array.from({ length: listed }, (_, index) => index);
        const values = keys.map(String);
        const history: { tree: Tree; model: ReadonlyMap<number, string> }[] = [
          { tree: SortedTree.ofSorted(isBefore, keys, values), model: new Map(keys.map((key) => [key, String(key)])) },
        ];
        for (const { changes, back } of steps) {
          // Also from an older tree: two may go on from the same one.
          const from = history[Math.max(0, history.length - 1 - back)] as (typeof history)[number];
          const model = new Map(from.model);
          const draft = from.tree.draft();
          for (const { from: first, count, step, value } of changes) {
            for (let n = 0; n < count; n++) {
              const key = first + n * step;
              if (value === undefined) {
                const deleted = draft.delete(key);
                if (deleted !== model.delete(key)) expect.fail(`delete(${key}) gave ${deleted}`);
              } else {
                const isNew = draft.set(key, value);
                if (isNew === model.has(key)) expect.fail(`set(${key}) gave ${isNew}`);
                model.set(key, value);
              }
            }
            // Going on from a draft that was handed out does not change what was.
            if (changes.length > 2) history.push({ tree: draft.done(), model: new Map(model) });
          }
          history.push({ tree: draft.done(), model });
        }
        for (const { tree, model } of history) {
          expectSound(tree);
          expect(JSON.stringify([...tree.entries()])).toBe(JSON.stringify(pairs(model)));
          expect(tree.size).toBe(model.size);
        }
        const a = history[0] as (typeof history)[number];
        for (const b of [history.at(-1) as typeof a, history.at(-2) ?? a]) {
          const found: [number, string | undefined, string | undefined][] = [];
          diffTrees(a.tree, b.tree, (...difference) => found.push(difference));
          const all = [...new Set([...a.model.keys(), ...b.model.keys()])].sort((x, y) => x - y);
          const expected = all
            .filter((key) => a.model.get(key) !== b.model.get(key))
            .map((key) => [key, a.model.get(key), b.model.get(key)]);
          expect(JSON.stringify(found)).toBe(JSON.stringify(expected));
        }
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

test('every key is found, and every pair after another', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(5000), { maxLength: 1500 }), (keys) => {
      const draft = SortedTree.empty<number, string>(isBefore).draft();
      for (const key of keys) draft.set(key, String(key));
      const tree = draft.done();
      const sorted = keys.toSorted((a, b) => a - b);
      expect(sorted.map((key) => tree.get(key))).toEqual(sorted.map(String));
      expect(tree.get(-1) ?? tree.get(5001) ?? tree.get(0.5)).toBeUndefined();
      expect(sorted.map((key) => tree.pairAfter(key - 0.5)?.[0])).toEqual(sorted);
      expect([undefined, ...sorted].map((key) => tree.pairAfter(key)?.[0])).toEqual([...sorted, undefined]);
    }),
    { numRuns: 50 },
  );
});

test('a change makes one new node for each level, and a difference is found without looking at the rest', () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => index);
  let compared = 0;
  const counting = (a: number, b: number): boolean => {
    compared += 1;
    return a < b;
  };
  const before = SortedTree.ofSorted(counting, keys, keys.map(String));
  const draft = before.draft();
  draft.set(77_777, 'another');
  const after = draft.done();
  const known = nodesOf(before.root);
  expect([...nodesOf(after.root)].filter((node) => !known.has(node))).toHaveLength(4);
  expect(compared).toBeLessThan(25);
  compared = 0;
  const found: number[] = [];
  diffTrees(before, after, (key) => found.push(key));
  expect(found).toEqual([77_777]);
  // A leaf's worth, twice for each pair.
  expect(compared).toBeLessThanOrEqual(64);
});

test('a difference stays cheap where nodes were split and joined in between', () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => 2 * index);
  let compared = 0;
  const before = SortedTree.ofSorted(
    (a: number, b: number) => {
      compared += 1;
      return a < b;
    },
    keys,
    keys.map(String),
  );
  const draft = before.draft();
  for (let n = 0; n < 40; n++) draft.set(60_001 + 2 * n, 'new');
  for (let n = 0; n < 40; n++) draft.delete(120_000 + 2 * n);
  const after = draft.done();
  compared = 0;
  const found: number[] = [];
  diffTrees(before, after, (key) => found.push(key));
  expect(found).toHaveLength(80);
  expect(compared).toBeLessThan(1500);
});
