import type { CallOutcome } from './selector.ts';

/** When a host is an outlier in comparison with the others. */
export interface CallWindowSettings {
  readonly windowMs: number;
  readonly minCalls: number;
  readonly minHosts: number;
  readonly deviations: number;
  readonly slowFactor: number;
  readonly slowByMs: number;
}

interface Calls {
  answered: number;
  failed: number;
  /** The sum and the number of the latencies that are known, or known to be at least as long. */
  latencyMs: number;
  measured: number;
}

// With hosts that nearly always answer the deviation is next to nothing: a single failure is no outlier.
const LEAST_GAP = 0.05;

/** Counts calls for a time, and compares the hosts when it is over. No timer runs: it is looked at with each call. */
export class CallWindow {
  readonly #settings: CallWindowSettings;
  readonly #calls = new Map<string, Calls>();
  #since: number | undefined;

  constructor(settings: CallWindowSettings) {
    this.#settings = settings;
  }

  add(key: string, { result, latencyMs }: CallOutcome, now: number): void {
    this.#since ??= now;
    let calls = this.#calls.get(key);
    if (calls === undefined) this.#calls.set(key, (calls = { answered: 0, failed: 0, latencyMs: 0, measured: 0 }));
    if (result === 'answered') calls.answered++;
    if (result === 'failed') calls.failed++;
    // A call given up would have taken longer than it did: it tells something only if that is long already.
    const mean = calls.latencyMs / Math.max(1, calls.measured);
    if ((result === 'answered' && latencyMs >= 0) || (result === 'abandoned' && latencyMs > mean)) {
      calls.latencyMs += latencyMs;
      calls.measured++;
    }
  }

  /** The outliers when the time is over, once; then it begins again. */
  outliers(now: number): Map<string, 'success-rate' | 'slow'> {
    const found = new Map<string, 'success-rate' | 'slow'>();
    if (this.#since === undefined || now - this.#since < this.#settings.windowMs) return found;
    // Without calls for so long, what was counted is of the past.
    const isFresh = now - this.#since < 2 * this.#settings.windowMs;
    if (isFresh) {
      for (const key of this.#slow()) found.set(key, 'slow');
      for (const key of this.#failing()) found.set(key, 'success-rate');
    }
    this.#calls.clear();
    this.#since = undefined;
    return found;
  }

  #failing(): string[] {
    const { minCalls, deviations } = this.#settings;
    const rates = this.#compared(
      ({ answered, failed }) => answered + failed >= minCalls,
      ({ answered, failed }) => answered / (answered + failed),
    );
    const mean = rates.reduce((sum, [, rate]) => sum + rate, 0) / rates.length;
    const deviation = Math.sqrt(rates.reduce((sum, [, rate]) => sum + (rate - mean) ** 2, 0) / rates.length);
    const least = mean - Math.max(LEAST_GAP, deviations * deviation);
    return rates.filter(([, rate]) => rate < least).map(([key]) => key);
  }

  #slow(): string[] {
    const { minCalls, slowFactor, slowByMs } = this.#settings;
    const means = this.#compared(
      ({ measured }) => measured >= minCalls,
      ({ latencyMs, measured }) => latencyMs / measured,
    ).sort(([, a], [, b]) => a - b);
    const median = means[(means.length - 1) >> 1]?.[1] ?? 0;
    const most = Math.max(median * slowFactor, median + slowByMs);
    return means.filter(([, mean]) => mean > most).map(([key]) => key);
  }

  /** A figure of each host with enough calls; none when there are too few such hosts to compare. */
  #compared(hasEnough: (calls: Calls) => boolean, figure: (calls: Calls) => number): [key: string, figure: number][] {
    const figures: [string, number][] = [];
    for (const [key, calls] of this.#calls) if (hasEnough(calls)) figures.push([key, figure(calls)]);
    return figures.length >= this.#settings.minHosts ? figures : [];
  }
}
