import type { OperatorFunction, TimestampProvider } from 'rxjs';
import { durationMs } from '../time/durations.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { checkClock, checkFunction, checkNumber, checkOptions } from './arguments.ts';
import { RandomSet } from './random-set.ts';
import { type LearningState, selectBy } from './selection-state.ts';
import type { CallOutcome, LearningSelector } from './selector.ts';

/** Options of {@link peakEwma}. */
export interface PeakEwmaOptions {
  /** How fast a past latency is forgotten: after this time it weighs 37 % (1/e). Default 10000. */
  readonly decayMs?: number;
  /**
   * Until it answers again, a host whose call failed counts as one that takes at least this long: a host that fails at
   * once would otherwise look like the fastest. Default 5000.
   */
  readonly failureMs?: number;
  /**
   * A host that loses every comparison is given one call after this time without any, to see whether it has recovered.
   * Doubled with each such call that is not answered, up to 16 times it. Default 1000.
   */
  readonly probeMs?: number;
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
  /** Where the time is taken from; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly scheduler?: TimestampProvider;
}

/**
 * Chooses, of two hosts taken at random, the one where a call should take less time.
 *
 * A host's expected time is its latency times the calls it would then have in flight. The latency is a moving average
 * that jumps up with every slower call and comes down slowly, so a host that turns slow loses its traffic at the first
 * slow answer, and gets it back as it proves fast or as time passes. A host that nothing is known of is compared by
 * calls in flight alone: being new brings it no extra calls.
 *
 * A call that was given up teaches that its answer would have taken longer: a host that never answers is as slow as the
 * longest time that a caller waited for it. After a failure a host counts as slow until it answers. A host that is not
 * chosen for such a reason is given a call now and then, to see whether it has recovered.
 *
 * It learns from the calls that it is told of: `balance()` does so; with picks by hand, call `started`. What is known of
 * a host is forgotten when it leaves. A pick takes constant time; the first after a membership change as for
 * `randomHost()`. As cold as its source, with one selector for each emission; each subscription learns for itself.
 *
 * @source https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency
 * @source https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { peakEwma } from 'rx-etcd';
 *
 * of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']])).pipe(peakEwma()).subscribe((selector) => {
 *   selector.started('a')({ result: 'answered', latencyMs: 800 });
 *   selector.started('b')({ result: 'answered', latencyMs: 20 });
 *   console.log(selector.pick()); // 10.0.0.2
 * });
 * ```
 */
export function peakEwma<T>(
  options: PeakEwmaOptions = {},
): OperatorFunction<ReadonlyMap<string, T>, LearningSelector<T>> {
  checkOptions('options', options, { decayMs: true, failureMs: true, probeMs: true, random: true, scheduler: true });
  const { decayMs = 10_000, failureMs = 5000, probeMs = 1000 } = options;
  const { random = Math.random, scheduler = monotonicClock } = options;
  checkNumber('options.decayMs', decayMs, Number.MIN_VALUE);
  durationMs('options.failureMs', failureMs);
  durationMs('options.probeMs', probeMs);
  checkFunction('options.random', random);
  checkClock('options.scheduler', scheduler);
  return selectBy<T>((): LearningState<T> => new LatencyState(random, scheduler, { decayMs, failureMs, probeMs }));
}

interface Measured {
  /** The average as of `at`, `undefined` before the first answer. */
  latencyMs: number | undefined;
  /** It takes at least this long, as the calls without an answer since the last answer tell. Does not fade. */
  atLeastMs: number;
  at: number;
  inFlight: number;
  /** When a call was last begun or ended. */
  heardAt: number;
  /** Calls in a row without an answer. */
  unanswered: number;
}

interface Tuning {
  readonly decayMs: number;
  readonly failureMs: number;
  readonly probeMs: number;
}

// Below this, differences are noise, and calls in flight should decide.
const LEAST_MS = 0.1;
const MOST_DOUBLINGS = 4;

class LatencyState implements LearningState<unknown> {
  readonly #keys: RandomSet;
  readonly #measured = new Map<string, Measured>();
  readonly #clock: TimestampProvider;
  readonly #tuning: Tuning;

  constructor(random: () => number, clock: TimestampProvider, tuning: Tuning) {
    this.#keys = new RandomSet(random);
    this.#clock = clock;
    this.#tuning = tuning;
  }

  joined(key: string): void {
    this.#keys.add(key);
  }

  changed(): void {
    // A host's value plays no part in the choice.
  }

  left(key: string): void {
    this.#keys.remove(key);
    this.#measured.delete(key);
  }

  choose(_affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    const [a, b] = this.#keys.samplePair(avoid);
    if (a === undefined || b === undefined) return a;
    const now = this.#clock.now();
    const [better, worse] = this.#isBetter(a, b, now) ? [a, b] : [b, a];
    return this.#isDueForProbe(worse, now) ? worse : better;
  }

  readonly started = (key: string): ((outcome: CallOutcome) => void) => {
    const now = this.#clock.now();
    const measured = this.#measured.get(key) ?? {
      latencyMs: undefined,
      atLeastMs: 0,
      at: now,
      inFlight: 0,
      heardAt: now,
      unanswered: 0,
    };
    if (this.#keys.has(key)) this.#measured.set(key, measured);
    measured.inFlight++;
    measured.heardAt = now;
    let ended = false;
    return (outcome) => {
      if (ended) return;
      ended = true;
      measured.inFlight--;
      this.#learn(measured, outcome);
    };
  };

  #learn(measured: Measured, { result, latencyMs }: CallOutcome): void {
    const now = this.#clock.now();
    const kept = this.#keptSince(measured.at, now);
    const known = measured.latencyMs === undefined ? undefined : measured.latencyMs * kept;
    if (result === 'answered') {
      const average = measured.latencyMs === undefined ? latencyMs : measured.latencyMs * kept + latencyMs * (1 - kept);
      measured.latencyMs = known === undefined || latencyMs > known ? latencyMs : average;
      measured.atLeastMs = 0;
      measured.unanswered = 0;
    } else {
      const waitedMs = result === 'failed' ? Math.max(latencyMs, this.#tuning.failureMs) : latencyMs;
      // Not the average: an answer ends it at once.
      measured.atLeastMs = Math.max(measured.atLeastMs, waitedMs);
      measured.latencyMs = known;
      // A caller that gave up sooner than the host is expected to answer says nothing about it.
      if (result === 'failed' || waitedMs > (known ?? 0)) measured.unanswered++;
    }
    measured.at = now;
    measured.heardAt = now;
  }

  #isBetter(a: string, b: string, now: number): boolean {
    const [one, other] = [this.#measured.get(a), this.#measured.get(b)];
    const [oneMs, otherMs] = [this.#latencyOf(one, now), this.#latencyOf(other, now)];
    const [oneCalls, otherCalls] = [(one?.inFlight ?? 0) + 1, (other?.inFlight ?? 0) + 1];
    // A host that has not answered yet is taken to be as fast as the other, but for what its calls have shown.
    const oneExpectedMs = Math.max(oneMs ?? otherMs ?? LEAST_MS, one?.atLeastMs ?? 0);
    const otherExpectedMs = Math.max(otherMs ?? oneMs ?? LEAST_MS, other?.atLeastMs ?? 0);
    return oneExpectedMs * oneCalls <= otherExpectedMs * otherCalls;
  }

  /** Whether a host that lost the comparison because its calls were not answered shall be tried all the same. */
  #isDueForProbe(key: string, now: number): boolean {
    const measured = this.#measured.get(key);
    if (measured === undefined || measured.unanswered === 0 || measured.inFlight > 0) return false;
    if (measured.atLeastMs <= (this.#latencyOf(measured, now) ?? 0)) return false;
    const doublings = Math.min(measured.unanswered - 1, MOST_DOUBLINGS);
    return now - measured.heardAt >= this.#tuning.probeMs * 2 ** doublings;
  }

  /** The latency as of now: with no call to tell, the memory of a slow one fades. */
  #latencyOf(measured: Measured | undefined, now: number): number | undefined {
    if (measured?.latencyMs === undefined) return undefined;
    return Math.max(LEAST_MS, measured.latencyMs * this.#keptSince(measured.at, now));
  }

  #keptSince(at: number, now: number): number {
    return Math.exp(-Math.max(0, now - at) / this.#tuning.decayMs);
  }
}
