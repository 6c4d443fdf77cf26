/**
 * A membership some of whose hosts shall get less than their share for now, as `slowStart()` makes them.
 * The selectors of this library honour it.
 */
export interface SharedHosts {
  /** The part of its share that a host shall get, from 0 to 1. Asked at every pick. */
  shareOf(key: string): number;
}

type Entry<T> = readonly [key: string, host: T];

// Bounds a pick when most hosts are starting: passing over all of them would cost n choices.
const MAX_PASSES = 4;

/**
 * Chooses by `choose`, and passes over a choice with the probability that its host shall not get it.
 * What was chosen first is taken when every choice was passed over.
 */
export function chooseByShare<T>(
  hosts: SharedHosts,
  random: () => number,
  avoid: ((key: string) => boolean) | undefined,
  choose: (avoid: ((key: string) => boolean) | undefined) => Entry<T> | undefined,
): Entry<T> | undefined {
  const first = choose(avoid);
  if (first === undefined || isTaken(hosts, first, random)) return first;
  const passed = new Set<string>([first[0]]);
  while (passed.size < MAX_PASSES) {
    const next = choose((key) => passed.has(key) || avoid?.(key) === true);
    if (next === undefined) return first;
    if (isTaken(hosts, next, random)) return next;
    passed.add(next[0]);
  }
  return first;
}

/** `derived` with the shares of the map it was derived from. */
export function keepShares<T>(source: ReadonlyMap<string, T>, derived: Map<string, T>): ReadonlyMap<string, T> {
  return hasShares(source) ? Object.assign(derived, { shareOf: (key: string) => source.shareOf(key) }) : derived;
}

/** Whether some hosts shall get less than their share. */
export function hasShares<T>(hosts: ReadonlyMap<string, T>): hosts is ReadonlyMap<string, T> & SharedHosts {
  return 'shareOf' in hosts && typeof hosts.shareOf === 'function';
}

function isTaken(hosts: SharedHosts, [key]: Entry<unknown>, random: () => number): boolean {
  const share = hosts.shareOf(key);
  return share >= 1 || random() < share;
}
