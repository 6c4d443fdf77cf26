import type { TimestampProvider } from 'rxjs';
import { invalidArgument } from '../errors.ts';

/** Options of the ejection of hosts that keep failing. */
export interface EjectionOptions {
  /** After how many failures in a row a host is left out. Default 3. */
  readonly failures?: number;
  /** For how long at first. Doubled each time it fails again soon after its return. Default 1. */
  readonly baseSeconds?: number;
  /** For how long at most. Default 60. */
  readonly maxSeconds?: number;
}

/**
 * How a host stands, told apart by `status`.
 *
 * - `healthy`: chosen from as usual.
 * - `ejected`: it kept failing and is left out, this time for `forMs`, for the `times`th time running.
 * - `overruled`: as `ejected`, but more than half of the hosts are, so everyone is tried.
 * - `returning`: its time is over and it has not answered yet; one failure ejects it again.
 */
export type HostState =
  | { readonly status: 'healthy' }
  | { readonly status: 'ejected' | 'overruled' | 'returning'; readonly times: number; readonly forMs: number };

interface Standing {
  failures: number;
  times: number;
  forMs: number;
  /** When the last ejection ends or ended. */
  until: number;
  status: 'in' | 'ejected' | 'returning';
}

const HEALTHY: HostState = { status: 'healthy' };

/**
 * Keeps account of who keeps failing. Time passes when it is asked, without timers.
 *
 * @source https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
 */
export class Ejection {
  readonly #clock: TimestampProvider;
  readonly #failures: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #onChange: () => void;
  // Of hosts with failures or a past of them only.
  readonly #standings = new Map<string, Standing>();
  #ejected = 0;
  #nextReturn = Infinity;
  #hosts: ReadonlyMap<string, unknown> = new Map();

  constructor(options: EjectionOptions, clock: TimestampProvider, onChange: () => void) {
    const { failures = 3, baseSeconds = 1, maxSeconds = 60 } = options;
    if (!(failures >= 1)) throw invalidArgument('ejection.failures', 'a number, 1 or more', failures);
    if (!(baseSeconds > 0)) throw invalidArgument('ejection.baseSeconds', 'a number above 0', baseSeconds);
    if (!(maxSeconds >= baseSeconds)) throw invalidArgument('ejection.maxSeconds', 'at least baseSeconds', maxSeconds);
    this.#failures = failures;
    this.#baseMs = baseSeconds * 1000;
    this.#maxMs = maxSeconds * 1000;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Tells who is there: those who left are forgotten. */
  follow(hosts: ReadonlyMap<string, unknown>): void {
    this.#hosts = hosts;
    for (const [key, standing] of this.#standings) {
      if (hosts.has(key)) continue;
      if (standing.status === 'ejected') this.#ejected--;
      this.#standings.delete(key);
    }
  }

  /** Whether nobody is left out. */
  isIdle(): boolean {
    return this.#ejected === 0;
  }

  /** Whether a host is to be left out now. At most half of the hosts ever are. */
  isLeftOut(key: string): boolean {
    this.#passTime();
    return !this.#isOverruled() && this.#standings.get(key)?.status === 'ejected';
  }

  stateOf(key: string): HostState {
    this.#passTime();
    const standing = this.#standings.get(key);
    if (standing === undefined || standing.status === 'in') return HEALTHY;
    const { status, times, forMs } = standing;
    return { status: status === 'ejected' && this.#isOverruled() ? 'overruled' : status, times, forMs };
  }

  /** How long until a host returns, `undefined` when none is out. */
  nextReturnMs(): number | undefined {
    return this.#ejected === 0 ? undefined : Math.max(0, this.#nextReturn - this.#clock.now());
  }

  failed(key: string): void {
    if (!this.#hosts.has(key)) return;
    this.#passTime();
    const standing = this.#standings.get(key) ?? { failures: 0, times: 0, forMs: 0, until: 0, status: 'in' };
    this.#standings.set(key, standing);
    // A call that was already under way, or tried because everyone is: it is out as it is.
    if (standing.status === 'ejected') return;
    standing.failures++;
    if (standing.status === 'in' && standing.failures < this.#failures) return;
    this.#eject(standing);
  }

  answered(key: string): void {
    this.#passTime();
    const standing = this.#standings.get(key);
    if (standing === undefined) return;
    const { status } = standing;
    if (status === 'ejected') this.#ejected--;
    standing.failures = 0;
    standing.status = 'in';
    if (!this.#isRecent(standing)) this.#standings.delete(key);
    if (status !== 'in') this.#onChange();
  }

  #eject(standing: Standing): void {
    const now = this.#clock.now();
    standing.times = this.#isRecent(standing) ? standing.times + 1 : 1;
    standing.forMs = Math.min(this.#maxMs, this.#baseMs * 2 ** (standing.times - 1));
    standing.until = now + standing.forMs;
    standing.failures = 0;
    standing.status = 'ejected';
    this.#ejected++;
    this.#nextReturn = Math.min(this.#nextReturn, standing.until);
    this.#onChange();
  }

  /** Whether it has been back for less than it was out: then the next time is longer. */
  #isRecent(standing: Standing): boolean {
    return standing.times > 0 && this.#clock.now() - standing.until < standing.forMs;
  }

  #isOverruled(): boolean {
    return this.#ejected * 2 > this.#hosts.size;
  }

  #passTime(): void {
    const now = this.#clock.now();
    if (now < this.#nextReturn) return;
    this.#nextReturn = Infinity;
    for (const standing of this.#standings.values()) {
      if (standing.status !== 'ejected') continue;
      if (standing.until <= now) {
        standing.status = 'returning';
        this.#ejected--;
      } else {
        this.#nextReturn = Math.min(this.#nextReturn, standing.until);
      }
    }
  }
}
