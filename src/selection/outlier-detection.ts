import type { TimestampProvider } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import { durationMs } from '../time/durations.ts';
import { checkNumber, checkOptions, checkWholeNumber } from './arguments.ts';
import { CallWindow } from './call-window.ts';
import type { CallOutcome } from './selector.ts';

/** Options of outlier detection: when a host is ejected, and for how long. */
export interface OutlierDetectionOptions {
  /** After how many failures in a row a host is ejected. Default 3. */
  readonly failures?: number;
  /** For how long at first. Doubled each time it is ejected again soon after its return. Default 1000. */
  readonly baseMs?: number;
  /** For how long at most. Default 60000. */
  readonly maxMs?: number;
  /** Success rates and latencies are compared over times of this length. Default 10000. */
  readonly windowMs?: number;
  /** Only hosts with as many calls in the window are compared. Default 50. */
  readonly minCalls?: number;
  /** And only when there are as many such hosts. Default 5. */
  readonly minHosts?: number;
  /**
   * A host is ejected when its success rate is below the mean of all by this many standard deviations, and by at least
   * 5 percentage points; `Infinity`: never. Default 1.9.
   */
  readonly deviations?: number;
  /**
   * A host is ejected when its mean latency is this many times the median of all, and by at least `slowByMs`;
   * `Infinity`: never. Default 5.
   */
  readonly slowFactor?: number;
  /** Default 500. */
  readonly slowByMs?: number;
}

/**
 * Why a host was ejected: it failed so many times in a row (on its return, once), too many of its calls failed in
 * comparison with others, or it took too long in comparison with others.
 */
export type EjectionReason = 'failures' | 'success-rate' | 'slow';

/**
 * How a host stands, told apart by `status`.
 *
 * - `healthy`: chosen from as usual.
 * - `ejected`: it is left out, this time for `forMs`, for the `times`th time running.
 * - `panic`: as `ejected`, but more than half of the hosts are, so everyone is tried.
 * - `probation`: its time is over and it has not answered yet; one failure ejects it again.
 *
 * `cause` is the error of the last failure, where there was one.
 */
export type HostState =
  | { readonly status: 'healthy' }
  | {
      readonly status: 'ejected' | 'panic' | 'probation';
      readonly reason: EjectionReason;
      readonly cause: unknown;
      readonly times: number;
      readonly forMs: number;
    };

interface Standing {
  failures: number;
  times: number;
  forMs: number;
  /** When the last ejection ends or ended. */
  until: number;
  status: 'in' | 'ejected' | 'probation';
  reason: EjectionReason;
  cause: unknown;
}

const HEALTHY: HostState = { status: 'healthy' };

/**
 * Finds the hosts that fail, or are slow, and says which to leave out. Time passes when it is asked, without timers.
 *
 * @source https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
 */
export class OutlierDetector {
  /** Incremented with each change of who is ejected or on probation. */
  version = 0;
  readonly #clock: TimestampProvider;
  readonly #failures: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #window: CallWindow;
  readonly #onChange: (key: string) => void;
  // Of hosts with failures or a past of them only.
  readonly #standings = new Map<string, Standing>();
  #ejected = 0;
  #nextReturn = Infinity;
  #hosts: ReadonlyMap<string, unknown> = new Map();

  /** `onChange` is told of each host that was ejected or has answered on probation. */
  constructor(options: OutlierDetectionOptions, clock: TimestampProvider, onChange: (key: string) => void = () => {}) {
    const { failures = 3, baseMs = 1000, maxMs = 60_000, windowMs = 10_000, minCalls = 50 } = options;
    const { minHosts = 5, deviations = 1.9, slowFactor = 5, slowByMs = 500 } = options;
    this.#failures = failures;
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
    this.#window = new CallWindow({ windowMs, minCalls, minHosts, deviations, slowFactor, slowByMs });
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Tells who is there: those who left are forgotten. */
  follow(hosts: ReadonlyMap<string, unknown>): void {
    this.#hosts = hosts;
    for (const [key, standing] of this.#standings) {
      if (hosts.has(key)) continue;
      if (standing.status === 'ejected') this.#ejected--;
      if (standing.status !== 'in') this.version++;
      this.#standings.delete(key);
    }
  }

  /** Whether nobody is left out. */
  isIdle(): boolean {
    return this.#ejected === 0;
  }

  /** Whether a host is to be left out now. At most half of the hosts ever are. */
  isLeftOut(key: string): boolean {
    this.passTime();
    return !this.#isPanic() && this.#standings.get(key)?.status === 'ejected';
  }

  /** How a host stands by itself, whatever the others do. */
  statusOf(key: string): 'healthy' | 'ejected' | 'probation' {
    const status = this.#standings.get(key)?.status ?? 'in';
    return status === 'in' ? 'healthy' : status;
  }

  stateOf(key: string): HostState {
    this.passTime();
    const standing = this.#standings.get(key);
    if (standing === undefined || standing.status === 'in') return HEALTHY;
    const { status, reason, cause, times, forMs } = standing;
    return { status: status === 'ejected' && this.#isPanic() ? 'panic' : status, reason, cause, times, forMs };
  }

  /** How long until a host returns, `undefined` when none is out. */
  nextReturnMs(): number | undefined {
    return this.#ejected === 0 ? undefined : Math.max(0, this.#nextReturn - this.#clock.now());
  }

  /** Tells how a call to a host went. */
  learn(key: string, outcome: CallOutcome): void {
    if (!this.#hosts.has(key)) return;
    this.passTime();
    this.#window.add(key, outcome, this.#clock.now());
    if (outcome.result === 'answered') this.#answered(key);
    if (outcome.result === 'failed') this.#failed(key, outcome.error);
    for (const [outlier, reason] of this.#window.outliers(this.#clock.now())) {
      if (this.#hosts.has(outlier) && this.statusOf(outlier) !== 'ejected') {
        this.#eject(outlier, this.#standingOf(outlier), reason);
      }
    }
  }

  /** Lets hosts return whose time is over. Called by what asks for a host. */
  passTime(): void {
    const now = this.#clock.now();
    if (now < this.#nextReturn) return;
    this.#nextReturn = Infinity;
    for (const standing of this.#standings.values()) {
      if (standing.status !== 'ejected') continue;
      if (standing.until <= now) {
        standing.status = 'probation';
        this.#ejected--;
        this.version++;
      } else {
        this.#nextReturn = Math.min(this.#nextReturn, standing.until);
      }
    }
  }

  #failed(key: string, cause: unknown): void {
    const standing = this.#standingOf(key);
    standing.cause = cause;
    // A call that was already under way, or tried because everyone is: it is out as it is.
    if (standing.status === 'ejected') return;
    standing.failures++;
    if (standing.status === 'probation' || standing.failures >= this.#failures) this.#eject(key, standing, 'failures');
  }

  #answered(key: string): void {
    const standing = this.#standings.get(key);
    if (standing === undefined) return;
    const { status } = standing;
    // Slow or failing now and then as it was found to be, it answers nevertheless: its time is to be served.
    if (status === 'ejected' && standing.reason !== 'failures') return;
    if (status === 'ejected') this.#ejected--;
    standing.failures = 0;
    standing.status = 'in';
    if (!this.#isRecent(standing)) this.#standings.delete(key);
    if (status === 'in') return;
    this.version++;
    this.#onChange(key);
  }

  #standingOf(key: string): Standing {
    let standing = this.#standings.get(key);
    if (standing === undefined) {
      standing = { failures: 0, times: 0, forMs: 0, until: 0, status: 'in', reason: 'failures', cause: undefined };
      this.#standings.set(key, standing);
    }
    return standing;
  }

  #eject(key: string, standing: Standing, reason: EjectionReason): void {
    const now = this.#clock.now();
    standing.times = this.#isRecent(standing) ? standing.times + 1 : 1;
    standing.forMs = Math.min(this.#maxMs, this.#baseMs * 2 ** (standing.times - 1));
    standing.until = now + standing.forMs;
    standing.failures = 0;
    standing.status = 'ejected';
    standing.reason = reason;
    this.#ejected++;
    this.#nextReturn = Math.min(this.#nextReturn, standing.until);
    this.version++;
    this.#onChange(key);
  }

  /** Whether it has been back for less than it was out: then the next time is longer. */
  #isRecent(standing: Standing): boolean {
    return standing.times > 0 && this.#clock.now() - standing.until < standing.forMs;
  }

  #isPanic(): boolean {
    return this.#ejected * 2 > this.#hosts.size;
  }
}

/** Their names. */
export const OUTLIER_DETECTION_OPTIONS: Record<keyof OutlierDetectionOptions, true> = {
  failures: true,
  baseMs: true,
  maxMs: true,
  windowMs: true,
  minCalls: true,
  minHosts: true,
  deviations: true,
  slowFactor: true,
  slowByMs: true,
};

/** Throws for options that make no sense. */
export function checkOutlierDetection(argument: string, options: OutlierDetectionOptions): void {
  checkOptions(argument, options, OUTLIER_DETECTION_OPTIONS);
  const { failures = 3, baseMs = 1000, maxMs = 60_000, windowMs = 10_000, minCalls = 50 } = options;
  const { minHosts = 5, deviations = 1.9, slowFactor = 5, slowByMs = 500 } = options;
  checkNumber(`${argument}.failures`, failures, 1);
  checkNumber(`${argument}.baseMs`, baseMs, 1);
  if (!(durationMs(`${argument}.maxMs`, maxMs) >= baseMs)) {
    throw invalidArgument(`${argument}.maxMs`, 'baseMs or more', maxMs);
  }
  checkNumber(`${argument}.windowMs`, windowMs, 1);
  checkWholeNumber(`${argument}.minCalls`, minCalls, 1);
  checkWholeNumber(`${argument}.minHosts`, minHosts, 2);
  checkNumber(`${argument}.deviations`, deviations, 0);
  checkNumber(`${argument}.slowFactor`, slowFactor, 1);
  durationMs(`${argument}.slowByMs`, slowByMs);
}
