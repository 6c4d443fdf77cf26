import { map, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { checkOptions, checkWholeNumber } from './arguments.ts';
import { hashOf, mix } from './hash.ts';
import { hostsWhere } from './where.ts';

/** Options of {@link subset}. */
export interface SubsetOptions {
  /**
   * Which client this is.
   *
   * A number is its index among all clients, 0 and up without gaps (a StatefulSet's ordinal, say): the clients then
   * divide the hosts among themselves, and each host serves the same number of clients, give or take one; for that, all
   * may have to change theirs when a host comes or goes. A string is any name of its own: hosts serve the same number
   * of clients on average, as chance spreads them, and a host that comes or goes changes at most one host of the subset.
   */
  readonly client: number | string;
}

/**
 * Leaves in a fixed number of hosts, the same ones for as long as the hosts are the same.
 *
 * So that a thousand clients of a thousand hosts need not hold a million connections. Which hosts are in
 * depends on the client and the host keys alone: a client that restarts gets the same ones.
 *
 * As cold as its source, with one emission for each of its; each sorts the hosts. With no more hosts than
 * `size`, all are in.
 *
 * @source https://sre.google/sre-book/load-balancing-datacenter/ "Deterministic subsetting", for numbered clients
 * @source https://www.eecs.umich.edu/techreports/cse/96/CSE-TR-316-96.pdf rendezvous hashing, for named ones
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { subset } from 'rx-etcd';
 *
 * const hosts = new Map([['a', 1], ['b', 2], ['c', 3], ['d', 4]]);
 * of(hosts).pipe(subset(2, { client: 'web-7' })).subscribe((some) => console.log(some.size)); // 2
 * ```
 */
export function subset<T>(
  size: number,
  options: SubsetOptions,
): OperatorFunction<ReadonlyMap<string, T>, ReadonlyMap<string, T>> {
  checkWholeNumber('size', size, 1);
  checkOptions('options', options, { client: true });
  const { client } = options;
  if (typeof client !== 'string' && !(Number.isInteger(client) && client >= 0)) {
    throw invalidArgument('options.client', 'a string or a whole number, 0 or more', client);
  }
  return map((hosts) => {
    if (hosts.size <= size) return hosts;
    const keys = [...hosts.keys()];
    const chosen = new Set(
      typeof client === 'string' ? shuffled(keys, hashOf(client)).slice(0, size) : sliceOf(keys, size, client),
    );
    return hostsWhere(hosts, (_, key) => chosen.has(key));
  });
}

/**
 * A numbered client's hosts: the clients, one after the other, take theirs from a shuffled ring. Where a lap's
 * end falls together with a client's, every host has been taken equally often, and the following clients
 * share a ring shuffled otherwise: else the same hosts would always fail together.
 */
function sliceOf(keys: readonly string[], size: number, client: number): string[] {
  const clientsPerRing = keys.length / greatestCommonDivisor(keys.length, size);
  const ring = shuffled(keys, Math.floor(client / clientsPerRing));
  const from = ((client % clientsPerRing) * size) % keys.length;
  return [...ring, ...ring].slice(from, from + size);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The keys in an order that depends on nothing but the keys and the seed; without one, the rest is unchanged. */
function shuffled(keys: readonly string[], seed: number): string[] {
  return keys
    .map((key) => ({ key, rank: mix(hashOf(key) ^ mix(seed)) }))
    .sort((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : 1))
    .map(({ key }) => key);
}
