import {
  connect,
  defer,
  map,
  type Observable,
  type OperatorFunction,
  type TimestampProvider,
  withLatestFrom,
} from 'rxjs';
import { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument } from '../errors.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { checkClock, checkedSelector, checkFunction, checkNumber, checkOptions, checkSelector } from './arguments.ts';
import { hashOf } from './hash.ts';
import { membershipOf } from './membership.ts';
import { checkOutlierDetection, type OutlierDetectionOptions, OutlierDetector } from './outlier-detection.ts';
import { roundRobin } from './round-robin.ts';
import type { CallOutcome, LearningSelector, Selector } from './selector.ts';

/** Options of {@link preferZone}. */
export interface PreferZoneOptions<T> {
  /** Chooses among the hosts of a zone, in each zone for itself. Default `roundRobin()`. */
  readonly choose?: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>;
  /** A zone with fewer hosts than this is one with the next: too few could not carry its load. Default 1. */
  readonly minHosts?: number;
  /** A zone keeps all of its calls while this many times its healthy hosts are as many as it has. Default 1.4. */
  readonly overprovisioning?: number;
  /** When a host counts as not healthy, as for `balance()`. */
  readonly outlierDetection?: OutlierDetectionOptions;
  /** Where the time is taken from; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly scheduler?: TimestampProvider;
}

/**
 * Chooses among the hosts of one's own zone, and among others as far as the near ones are not healthy.
 *
 * Each zone takes as many of the calls as its healthy hosts are of all that it has, times `overprovisioning`; the rest
 * goes on to the next zone. So with the default a zone of which 71 % are well keeps all of its calls, with half of them
 * 70 %, and with none of them none; then, and with no host in the zone, all go elsewhere. Where no zone has a healthy
 * host, all hosts are chosen from.
 *
 * Health is learned from the calls that it is told of: `balance()` does so; with picks by hand, call `started`. A host
 * whose ejection is over counts as a tenth of a healthy one until it has answered.
 *
 * With an affinity the zone is the same for the same affinity as long as the zones' parts are. A pick takes what `choose`
 * takes. As cold as its source, with one selector for each of its emissions; each takes time in proportion to the number
 * of hosts.
 *
 * @param zone - the zone to prefer, or several, the nearest first; hosts of no such zone come last
 * @param zoneOf - a host's zone, `undefined` when it has none. When it throws, that is the error of the result.
 * @source https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { preferZone } from 'rx-etcd';
 *
 * const hosts = new Map([['a', { zone: 'eu-1' }], ['b', { zone: 'eu-2' }]]);
 * of(hosts).pipe(preferZone('eu-2', (host) => host.zone)).subscribe((selector) => {
 *   console.log(selector.pickEntry()?.[0], selector.pickEntry()?.[0]); // b b
 * });
 * ```
 */
export function preferZone<T>(
  zone: string | readonly string[],
  zoneOf: (host: T, key: string) => string | undefined,
  options: PreferZoneOptions<T> = {},
): OperatorFunction<ReadonlyMap<string, T>, LearningSelector<T>> {
  checkFunction('zoneOf', zoneOf);
  const names = {
    choose: true,
    minHosts: true,
    overprovisioning: true,
    outlierDetection: true,
    scheduler: true,
  } as const;
  checkOptions('options', options, names);
  const { choose = roundRobin<T>(), minHosts = 1, overprovisioning = 1.4 } = options;
  const { outlierDetection = {}, scheduler = monotonicClock } = options;
  const zones = zonesOf(zone);
  checkSelector('options.choose', choose);
  checkNumber('options.minHosts', minHosts, 0);
  checkNumber('options.overprovisioning', overprovisioning, 1);
  checkOutlierDetection('options.outlierDetection', outlierDetection);
  checkClock('options.scheduler', scheduler);

  return (source) =>
    defer(() => {
      const health = new ZoneHealth(new OutlierDetector(outlierDetection, scheduler), overprovisioning);
      return source.pipe(
        map((hosts) => splitByZone(membershipOf(hosts), { zones, zoneOf, minHosts })),
        connect((split$) => {
          const selectors = [...zones, undefined].map((_, level) => levelSelectors$(split$, level, choose));
          const others = selectors.slice(0, -1);
          // Of one split, the last zone's selector is the last to come.
          return (selectors.at(-1) as Observable<Selector<T>>).pipe(
            withLatestFrom(split$, ...others),
            map(([last, { hosts }, ...rest]) => new ZoneSelector<T>([...rest, last], hosts, health)),
          );
        }),
      );
    });
}

// A host that has not answered since its return: enough calls to find out.
const PROBATION_HEALTH = 0.1;

interface Split<T> {
  readonly hosts: Snapshot<T>;
  /** The hosts of each zone, the nearest first, those of no zone last. */
  readonly levels: readonly Snapshot<T>[];
}

interface SplitSettings<T> {
  readonly zones: readonly string[];
  readonly zoneOf: (host: T, key: string) => string | undefined;
  readonly minHosts: number;
}

function splitByZone<T>(hosts: Snapshot<T>, { zones, zoneOf, minHosts }: SplitSettings<T>): Split<T> {
  const levels: (readonly [string, T])[][] = Array.from({ length: zones.length + 1 }, () => []);
  const levelOf = new Map(zones.map((zone, level) => [zone, level]));
  for (const entry of hosts) {
    if (entry[1] === undefined) continue;
    const level = levelOf.get(zoneOf(entry[1], entry[0]) as string) ?? zones.length;
    (levels[level] as (readonly [string, T])[]).push(entry);
  }
  for (const [level, entries] of levels.entries()) {
    const next = levels[level + 1];
    if (next === undefined || entries.length === 0 || entries.length >= minHosts) continue;
    levels[level + 1] = [...entries, ...next];
    levels[level] = [];
  }
  return { hosts, levels: levels.map((entries) => Snapshot.of(entries)) };
}

function levelSelectors$<T>(
  split$: Observable<Split<T>>,
  level: number,
  choose: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
): Observable<Selector<T>> {
  return split$.pipe(
    map(({ levels }) => levels[level] as Snapshot<T>),
    choose,
    map((selector) => checkedSelector('options.choose', selector)),
  );
}

/** What is known of the hosts' health, and whose turn it is. One for each subscription. */
class ZoneHealth {
  readonly detector: OutlierDetector;
  readonly #overprovisioning: number;
  // The part of a turn that each zone is still owed.
  readonly #credits: number[] = [];

  constructor(detector: OutlierDetector, overprovisioning: number) {
    this.detector = detector;
    this.#overprovisioning = overprovisioning;
  }

  /** Which part of the calls each zone takes; `undefined` when no zone has a host that is well. */
  loadsOf(levels: readonly Selector<unknown>[]): number[] | undefined {
    let rest = 1;
    const loads = levels.map(({ hosts }) => {
      let healthy = 0;
      for (const key of hosts.keys()) healthy += this.#healthOf(key);
      const load = hosts.size === 0 ? 0 : Math.min(rest, 1, (this.#overprovisioning * healthy) / hosts.size);
      rest -= load;
      return load;
    });
    return rest === 1 ? undefined : loads.map((load) => load / (1 - rest));
  }

  /** The zone of the next call: each in its turn, as often as its load says. */
  turn(loads: readonly number[], affinity: string | undefined): number {
    if (affinity !== undefined) return placeIn(loads, hashOf(affinity) / 2 ** 32);
    let next = 0;
    for (const [level, load] of loads.entries()) {
      this.#credits[level] = load === 0 ? 0 : this.#creditOf(level) + load;
      if (this.#creditOf(level) > this.#creditOf(next)) next = level;
    }
    this.#credits[next] = this.#creditOf(next) - 1;
    return next;
  }

  #creditOf(level: number): number {
    return this.#credits[level] ?? 0;
  }

  #healthOf(key: string): number {
    const status = this.detector.statusOf(key);
    return status === 'ejected' ? 0 : status === 'probation' ? PROBATION_HEALTH : 1;
  }
}

class ZoneSelector<T> implements LearningSelector<T> {
  readonly hosts: ReadonlyMap<string, T>;
  readonly #levels: readonly Selector<T>[];
  readonly #health: ZoneHealth;
  #loads: { readonly version: number; readonly loads: number[] | undefined } | undefined;

  constructor(levels: readonly Selector<T>[], hosts: ReadonlyMap<string, T>, health: ZoneHealth) {
    this.hosts = hosts;
    this.#levels = levels;
    this.#health = health;
    health.detector.follow(hosts);
  }

  pick(affinity?: string): T | undefined {
    return this.pickEntry(affinity)?.[1];
  }

  pickEntry(affinity?: string, avoid?: (key: string) => boolean): readonly [string, T] | undefined {
    const { detector } = this.#health;
    detector.passTime();
    const loads = this.#loadsNow();
    const sizes = this.#levels.map(({ hosts }) => hosts.size / Math.max(1, this.hosts.size));
    const turn = this.#health.turn(loads ?? sizes, affinity);
    const inOrder = [turn, ...this.#levels.keys()];
    if (loads !== undefined) {
      const isOut = (key: string): boolean => detector.statusOf(key) === 'ejected' || avoid?.(key) === true;
      const entry = this.#pickFrom(inOrder, affinity, detector.isIdle() ? avoid : isOut);
      if (entry !== undefined || detector.isIdle()) return entry;
    }
    return this.#pickFrom(inOrder, affinity, avoid);
  }

  readonly started = (key: string): ((outcome: CallOutcome) => void) => {
    const learned = this.#levels.find(({ hosts }) => hosts.has(key))?.started?.(key);
    let ended = false;
    return (outcome) => {
      if (ended) return;
      ended = true;
      this.#health.detector.learn(key, outcome);
      learned?.(outcome);
    };
  };

  #pickFrom(
    levels: readonly number[],
    affinity: string | undefined,
    avoid: ((key: string) => boolean) | undefined,
  ): readonly [string, T] | undefined {
    for (const level of levels) {
      const entry = this.#levels[level]?.pickEntry(affinity, avoid);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #loadsNow(): number[] | undefined {
    const { version } = this.#health.detector;
    if (this.#loads?.version !== version) this.#loads = { version, loads: this.#health.loadsOf(this.#levels) };
    return this.#loads.loads;
  }
}

function placeIn(loads: readonly number[], at: number): number {
  let upTo = 0;
  for (const [level, load] of loads.entries()) {
    upTo += load;
    if (at < upTo) return level;
  }
  return 0;
}

function zonesOf(zone: string | readonly string[]): readonly string[] {
  const zones = typeof zone === 'string' ? [zone] : zone;
  if (!Array.isArray(zones) || zones.length === 0 || !zones.every((name) => typeof name === 'string')) {
    throw invalidArgument('zone', 'a string, or an array of them', zone);
  }
  return [...(zones as readonly string[])];
}
