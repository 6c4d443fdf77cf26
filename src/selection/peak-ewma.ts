import type { OperatorFunction, TimestampProvider } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { Roster } from './roster.ts';
import { type LearningState, selectBy } from './selection-state.ts';
import type { CallOutcome, LearningSelector } from './selector.ts';

/** Options of {@link peakEwma}. */
export interface PeakEwmaOptions {
  /** How fast a past latency is forgotten: after this time it weighs 37 % (1/e). Default 10. */
  readonly decaySeconds?: number;
  /**
   * A failed call counts as one that took at least this long: a host that fails at once would otherwise look
   * like the fastest. Default 5000.
   */
  readonly failureMs?: number;
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
  /** Where the time is taken from, in milliseconds; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly clock?: TimestampProvider;
}

/**
 * Chooses, of two hosts taken at random, the one where a call should take less time.
 *
 * A host's expected time is its latency times the calls it would then have in flight. The latency is a
 * moving average that jumps up with every slower call and comes down slowly, so a host that turns slow
 * loses its traffic at the first slow answer, and gets it back as it proves fast or as time passes.
 * A host nothing is known of is compared by calls in flight alone: being new brings it no extra calls.
 *
 * It learns from the calls that it is told of: `balance()` does so, and whoever picks by hand calls
 * `started`. What is known of a host is forgotten when it leaves. A pick takes constant time; the first
 * after a membership change as for `random()`. As cold as its source, with one selector for each emission;
 * each subscription learns for itself.
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
  const { decaySeconds = 10, failureMs = 5000, random = Math.random, clock = monotonicClock } = options;
  if (!(decaySeconds > 0)) throw invalidArgument('decaySeconds', 'a number above 0', decaySeconds);
  if (!(failureMs >= 0)) throw invalidArgument('failureMs', 'a number, 0 or more', failureMs);
  return selectBy<T>(
    (): LearningState<T> => new LatencyState(random, clock, { decayMs: decaySeconds * 1000, failureMs }),
    random,
  );
}

interface Measured {
  latencyMs: number | undefined;
  at: number;
  inFlight: number;
}

interface Tuning {
  readonly decayMs: number;
  readonly failureMs: number;
}

// Below this, differences are noise, and calls in flight should decide.
const LEAST_MS = 0.1;

class LatencyState implements LearningState<unknown> {
  readonly #roster: Roster;
  readonly #measured = new Map<string, Measured>();
  readonly #clock: TimestampProvider;
  readonly #tuning: Tuning;

  constructor(random: () => number, clock: TimestampProvider, tuning: Tuning) {
    this.#roster = new Roster(random);
    this.#clock = clock;
    this.#tuning = tuning;
  }

  joined(key: string): void {
    this.#roster.add(key);
  }

  changed(): void {
    // A host's value plays no part in the choice.
  }

  left(key: string): void {
    this.#roster.remove(key);
    this.#measured.delete(key);
  }

  choose(_affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined {
    const [a, b] = this.#roster.samplePair(avoid);
    return a === undefined || b === undefined || this.#isBetter(a, b) ? a : b;
  }

  readonly started = (key: string): ((outcome: CallOutcome) => void) => {
    const measured = this.#measured.get(key) ?? { latencyMs: undefined, at: this.#clock.now(), inFlight: 0 };
    if (this.#roster.has(key)) this.#measured.set(key, measured);
    measured.inFlight++;
    let ended = false;
    return (outcome) => {
      if (ended) return;
      ended = true;
      measured.inFlight--;
      this.#learn(measured, outcome);
    };
  };

  #learn(measured: Measured, { result, latencyMs }: CallOutcome): void {
    const known = this.#latencyOf(measured);
    const observed = result === 'failed' ? Math.max(latencyMs, this.#tuning.failureMs) : latencyMs;
    // A call given up says that its answer would have taken longer, not how long: it only ever counts upwards.
    if (result === 'abandoned' && (known === undefined || observed <= known)) return;
    const now = this.#clock.now();
    const kept = Math.exp(-Math.max(0, now - measured.at) / this.#tuning.decayMs);
    const average = measured.latencyMs === undefined ? observed : measured.latencyMs * kept + observed * (1 - kept);
    measured.latencyMs = known === undefined || observed > known ? observed : average;
    measured.at = now;
  }

  #isBetter(a: string, b: string): boolean {
    const [one, other] = [this.#measured.get(a), this.#measured.get(b)];
    const [oneMs, otherMs] = [this.#latencyOf(one), this.#latencyOf(other)];
    const [oneCalls, otherCalls] = [(one?.inFlight ?? 0) + 1, (other?.inFlight ?? 0) + 1];
    if (oneMs === undefined || otherMs === undefined) return oneCalls <= otherCalls;
    return oneMs * oneCalls <= otherMs * otherCalls;
  }

  /** The latency as of now: with no call to tell, the memory of a slow one fades. */
  #latencyOf(measured: Measured | undefined): number | undefined {
    if (measured?.latencyMs === undefined) return undefined;
    const elapsed = Math.max(0, this.#clock.now() - measured.at);
    return Math.max(LEAST_MS, measured.latencyMs * Math.exp(-elapsed / this.#tuning.decayMs));
  }
}
