/** What a map in key order can offer beside a `ReadonlyMap`: finding the neighbour of a key, in O(log n). */
export interface OrderedEntries<T> {
  /** The first entry whose key is greater than `key`; the first of all for `undefined`. */
  entryAfter(key: string | undefined): readonly [key: string, value: T] | undefined;
}

// Every selector of one map shares its index, and the index goes when the map goes.
const indexes = new WeakMap<ReadonlyMap<string, unknown>, readonly string[]>();

/**
 * The map's own order when it has one; otherwise an index of its sorted keys, made once, at the first use.
 *
 * The map must not change any more.
 */
export function orderedEntries<T>(map: ReadonlyMap<string, T>): OrderedEntries<T> {
  if (hasOrder(map)) return map;
  return { entryAfter: (key) => entryAt(map, upperBound(sortedKeys(map), key)) };
}

/** The map's keys in ascending order, made once for each map. */
function sortedKeys(map: ReadonlyMap<string, unknown>): readonly string[] {
  let keys = indexes.get(map);
  if (keys === undefined) {
    keys = [...map.keys()].sort();
    indexes.set(map, keys);
  }
  return keys;
}

function hasOrder<T>(map: ReadonlyMap<string, T>): map is ReadonlyMap<string, T> & OrderedEntries<T> {
  return 'entryAfter' in map && typeof map.entryAfter === 'function';
}

function entryAt<T>(map: ReadonlyMap<string, T>, index: number): readonly [string, T] | undefined {
  const key = sortedKeys(map)[index];
  return key === undefined ? undefined : [key, map.get(key) as T];
}

function upperBound(keys: readonly string[], key: string | undefined): number {
  if (key === undefined) return 0;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
