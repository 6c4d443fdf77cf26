import { defer, map, type OperatorFunction, type TimestampProvider } from 'rxjs';
import type { Snapshot } from '../discovery/snapshot.ts';
import { durationMs as checkedDuration } from '../time/durations.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { checkClock, checkedSelector, checkFunction, checkNumber, checkOptions } from './arguments.ts';
import { DerivedSelector } from './derived-selector.ts';
import { hashOf } from './hash.ts';
import { type DifferenceVisitor, forEachDifference, membershipOf } from './membership.ts';
import type { Selector } from './selector.ts';

/** Options of {@link slowStart}. */
export interface SlowStartOptions {
  /** The part of its share that a host gets at first, from 0 to 1. Default 0.1. */
  readonly firstShare?: number;
  /** A number in [0, 1), so that newcomers do not all get their turns at the same time. Default `Math.random`. */
  readonly random?: () => number;
  /** Where the time is taken from; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly scheduler?: TimestampProvider;
}

/**
 * Lets a newcomer's share of the picks grow over some time, so that it can fill caches and warm up.
 *
 * An operator on selectors: it stands behind any of them, and passes over some of what they choose. A newcomer's part
 * rises evenly from `firstShare` to the whole. Of the turns that the selector gives it, it takes exactly that part, so
 * newcomers of the same age get the same, and under a rotation none gets more than a host that is warm. The hosts of the
 * first emission are not newcomers. One that comes back is, whether it had left etcd or a layer had dropped it: put
 * `holdRemovals()` before what drops hosts for a moment.
 *
 * Where nearly all hosts are newcomers their part is raised: no warm host gets more than ten even shares. Where all are,
 * they are chosen in proportion to their age. With an affinity, a newcomer takes the same affinities again and again,
 * and more of them as it grows.
 *
 * The part is looked at in each pick: no timer runs, and nothing is emitted when a host has warmed up. A pick asks the
 * selector again for each host that is passed over, ten times on average at worst. As cold as its source, with one
 * emission for each of its.
 *
 * @param durationMs - how long it takes until a newcomer has its whole share
 * @source https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { roundRobin, slowStart } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1']]), new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]))
 *   .pipe(roundRobin(), slowStart(30_000))
 *   .subscribe((selector) => console.log(selector.pick())); // mostly 10.0.0.1 in the first seconds
 * ```
 */
export function slowStart<T>(
  durationMs: number,
  options: SlowStartOptions = {},
): OperatorFunction<Selector<T>, Selector<T>> {
  checkedDuration('durationMs', durationMs);
  checkOptions('options', options, { firstShare: true, random: true, scheduler: true });
  const { firstShare = 0.1, random = Math.random, scheduler = monotonicClock } = options;
  checkNumber('options.firstShare', firstShare, 0, 1);
  checkFunction('options.random', random);
  checkClock('options.scheduler', scheduler);
  return (source) =>
    defer(() => {
      const ramp = new Ramp({ durationMs, firstShare, random, clock: scheduler });
      let known: Snapshot<T> | undefined;
      return source.pipe(
        map((selector) => {
          const hosts = membershipOf(checkedSelector('source', selector).hosts);
          if (known !== undefined) forEachDifference(known, hosts, ramp);
          known = hosts;
          return new DerivedSelector<T>(selector, (affinity, avoid) => pickWarm(selector, ramp, affinity, avoid));
        }),
      );
    });
}

// A pick ends: with at least a tenth of all turns taken, one in about a thousand comes to this.
const MAX_PASSES = 64;
// The part of all turns that is taken at least, however few hosts are warm.
const LEAST_TAKEN = 0.1;

function pickWarm<T>(
  selector: Selector<T>,
  ramp: Ramp,
  affinity: string | undefined,
  avoid: ((key: string) => boolean) | undefined,
): readonly [string, T] | undefined {
  if (ramp.newcomers() === 0) return selector.pickEntry(affinity, avoid);
  // A rotation goes on by itself, in the proportions that it keeps. Others may choose the same host again.
  const movesOn = affinity === undefined && selector.started === undefined;
  const passed = new Set<string>();
  const avoidPassed = (key: string): boolean => passed.has(key) || avoid?.(key) === true;
  let first: readonly [string, T] | undefined;
  for (let passes = 0; passes < MAX_PASSES; passes++) {
    const entry = selector.pickEntry(affinity, movesOn || passes === 0 ? avoid : avoidPassed);
    if (entry === undefined || ramp.takes(entry[0], selector.hosts.size, affinity)) return entry ?? first;
    first ??= entry;
    passed.add(entry[0]);
  }
  return first;
}

interface RampSettings {
  readonly durationMs: number;
  readonly firstShare: number;
  readonly random: () => number;
  readonly clock: TimestampProvider;
}

interface Newcomer {
  readonly since: number;
  /** The part of a turn that it is still owed. */
  credit: number;
}

class Ramp implements DifferenceVisitor<unknown> {
  readonly #settings: RampSettings;
  // The oldest first, as they joined.
  readonly #newcomers = new Map<string, Newcomer>();

  constructor(settings: RampSettings) {
    this.#settings = settings;
  }

  joined(key: string): void {
    const { clock, random } = this.#settings;
    const credit = random();
    this.#newcomers.delete(key);
    this.#newcomers.set(key, { since: clock.now(), credit: credit >= 0 && credit < 1 ? credit : 0 });
  }

  changed(): void {
    // A new value is not a new host.
  }

  left(key: string): void {
    this.#newcomers.delete(key);
  }

  /** How many are still growing. */
  newcomers(): number {
    const ended = this.#settings.clock.now() - this.#settings.durationMs;
    for (const [key, { since }] of this.#newcomers) {
      if (since > ended) break;
      this.#newcomers.delete(key);
    }
    return this.#newcomers.size;
  }

  /** Whether a host takes the turn that it is given. */
  takes(key: string, hosts: number, affinity: string | undefined): boolean {
    const newcomer = this.#newcomers.get(key);
    if (newcomer === undefined) return true;
    const part = this.#partOf(newcomer, hosts);
    if (affinity !== undefined) return hashOf(affinity, hashOf(key)) < part * 2 ** 32;
    newcomer.credit = Math.min(2, newcomer.credit + part);
    if (!(newcomer.credit >= 1)) return false;
    newcomer.credit -= 1;
    return true;
  }

  #partOf(newcomer: Newcomer, hosts: number): number {
    const count = this.#newcomers.size;
    const warm = Math.max(0, hosts - count);
    const least = (LEAST_TAKEN * hosts - warm) / count;
    const part = Math.max(this.#shareSince(newcomer.since), least);
    if (warm > 0) return part;
    // All are new: the oldest takes every turn, the others as much less as they are younger.
    const [oldest] = this.#newcomers.values();
    return part / Math.max(this.#shareSince((oldest as Newcomer).since), least);
  }

  #shareSince(since: number): number {
    const { clock, durationMs, firstShare } = this.#settings;
    return firstShare + (1 - firstShare) * Math.min(1, Math.max(0, clock.now() - since) / durationMs);
  }
}
