const KEPT = 256;
const LEAST = 20;
// Sorting is not for every call.
const SORT_EVERY = 16;

/** The latency that a part of the last calls stayed below. */
export class LatencyQuantile {
  readonly #part: number;
  readonly #latencies: number[] = [];
  #next = 0;
  #unsorted = 0;
  #value: number | undefined;

  constructor(part: number) {
    this.#part = part;
  }

  add(latencyMs: number): void {
    this.#latencies[this.#next] = latencyMs;
    this.#next = (this.#next + 1) % KEPT;
    this.#unsorted++;
  }

  /** `undefined` while too few calls are known. */
  valueMs(): number | undefined {
    if (this.#latencies.length < LEAST) return undefined;
    if (this.#value === undefined || this.#unsorted >= SORT_EVERY) {
      const sorted = this.#latencies.toSorted((a, b) => a - b);
      this.#value = sorted[Math.floor(sorted.length * this.#part)];
      this.#unsorted = 0;
    }
    return this.#value;
  }
}
