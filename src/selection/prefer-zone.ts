import { map, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { type HostPredicate, hostsWhere } from './where.ts';

/** Options of {@link preferZone}. */
export interface PreferZoneOptions {
  /** With fewer hosts than this in the zone, all hosts are used: too few could not carry its load. Default 1. */
  readonly minHosts?: number;
}

/**
 * Leaves in the hosts of one's own zone, or all hosts when the zone has too few.
 *
 * As cold as its source, with one emission for each of its; each takes time in proportion to the number
 * of hosts.
 *
 * @param zone - the zone to prefer
 * @param zoneOf - a host's zone, `undefined` when it has none
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { preferZone } from 'rx-etcd';
 *
 * const hosts = new Map([['a', { zone: 'eu-1' }], ['b', { zone: 'eu-2' }]]);
 * of(hosts).pipe(preferZone('eu-2', (host) => host.zone)).subscribe((near) => console.log([...near.keys()])); // [ 'b' ]
 * of(hosts).pipe(preferZone('us-1', (host) => host.zone)).subscribe((any) => console.log(any.size)); // 2
 * ```
 */
export function preferZone<T>(
  zone: string,
  zoneOf: (host: T, key: string) => string | undefined,
  options: PreferZoneOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, ReadonlyMap<string, T>> {
  const { minHosts = 1 } = options;
  if (typeof zone !== 'string') throw invalidArgument('zone', 'a string', zone);
  if (typeof zoneOf !== 'function') throw invalidArgument('zoneOf', 'a function', zoneOf);
  if (!(minHosts >= 0)) throw invalidArgument('minHosts', 'a number, 0 or more', minHosts);
  const isNear: HostPredicate<T> = (host, key) => zoneOf(host, key) === zone;
  return map((hosts) => {
    const near = hostsWhere(hosts, isNear);
    return near.size < Math.max(1, minHosts) ? hosts : near;
  });
}
