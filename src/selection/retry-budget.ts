import type { TimestampProvider } from 'rxjs';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { checkClock, checkNumber, checkOptions } from './arguments.ts';

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** How many retries there may be for each call. Default 0.2. */
  readonly ratio?: number;
  /** How many there may be a second, however few calls there are. Default 3. */
  readonly perSecond?: number;
  /** Over what time calls and retries are counted. Default 10000. */
  readonly windowMs?: number;
  /** Where the time is taken from; any RxJS scheduler will do. Default: a monotonic clock. */
  readonly scheduler?: TimestampProvider;
}

/** How many retries there may be; see {@link retryBudget}. */
export interface RetryBudget {
  /** Tells of a call: of its first try, not of the others. */
  called(): void;
  /** Takes a retry out of the budget. `false`: there is none left, and none is to be made. */
  withdraw(): boolean;
}

/**
 * A budget that several callers share, so that an outage is not multiplied by everybody's retries.
 *
 * Over any `windowMs` there may be as many retries as `ratio` times the calls, or `perSecond` for each second when that
 * is more. With the defaults, and with every host down, 200 calls a second make 240 tries a second, not 800.
 *
 * Each `balance()` has one of its own, unless it is given one to share. It holds ten numbers and no timer.
 *
 * @source https://finagle.github.io/blog/2016/02/08/retry-budgets
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { balance, retryBudget, roundRobin } from 'rx-etcd';
 *
 * const budget = retryBudget({ ratio: 0.1 });
 * const hosts$ = of(new Map([['a', '10.0.0.1'], ['b', '10.0.0.2']]));
 * const call$ = balance(hosts$, roundRobin(), { retries: 2, retryBudget: budget });
 * ```
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  checkOptions('options', options, { ratio: true, perSecond: true, windowMs: true, scheduler: true });
  const { ratio = 0.2, perSecond = 3, windowMs = 10_000, scheduler = monotonicClock } = options;
  checkNumber('options.ratio', ratio, 0);
  checkNumber('options.perSecond', perSecond, 0);
  checkNumber('options.windowMs', windowMs, 1);
  checkClock('options.scheduler', scheduler);
  const calls = new SlidingCount(windowMs, scheduler);
  const retries = new SlidingCount(windowMs, scheduler);
  const least = (perSecond * windowMs) / 1000;
  return {
    called: () => calls.add(),
    withdraw: () => {
      if (retries.total() + 1 > Math.max(least, ratio * calls.total())) return false;
      retries.add();
      return true;
    },
  };
}

const SLOTS = 10;

/** Counts what happened in the last `windowMs`, to a tenth of it. */
class SlidingCount {
  readonly #slotMs: number;
  readonly #clock: TimestampProvider;
  readonly #slots = Array<number>(SLOTS).fill(0);
  #slot = 0;
  #total = 0;

  constructor(windowMs: number, clock: TimestampProvider) {
    this.#slotMs = windowMs / SLOTS;
    this.#clock = clock;
    this.#slot = this.#slotNow();
  }

  add(): void {
    this.#pass();
    const index = this.#index();
    this.#slots[index] = (this.#slots[index] as number) + 1;
    this.#total++;
  }

  total(): number {
    this.#pass();
    return this.#total;
  }

  #pass(): void {
    const now = this.#slotNow();
    for (let passed = 0; this.#slot < now && passed < SLOTS; passed++) {
      this.#slot++;
      this.#total -= this.#slots[this.#index()] as number;
      this.#slots[this.#index()] = 0;
    }
    // A clock that was set back stands still here.
    this.#slot = Math.max(this.#slot, now);
  }

  #slotNow(): number {
    return Math.floor(this.#clock.now() / this.#slotMs);
  }

  #index(): number {
    return this.#slot % SLOTS;
  }
}
