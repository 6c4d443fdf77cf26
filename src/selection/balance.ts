import {
  asyncScheduler,
  catchError,
  concat,
  defer,
  EMPTY,
  first,
  map,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  type ObservableInput,
  of,
  type OperatorFunction,
  type SchedulerLike,
  Subject,
  switchMap,
  takeUntil,
  tap,
  throwError,
  timeout,
  timer,
} from 'rxjs';
import { invalidArgument, RxEtcdError } from '../errors.ts';
import { durationMs, LONGEST_TIMER_MS } from '../time/durations.ts';
import { steadyClock } from '../time/steady-clock.ts';
import { checkClock, checkFunction, checkOptions, checkWholeNumber, hostsOf$ } from './arguments.ts';
import { currentContext, inContext$, type InContext } from './caller-context.ts';
import { HostSource } from './host-source.ts';
import { LatencyQuantile } from './latency-quantile.ts';
import { Misses } from './misses.ts';
import {
  checkOutlierDetection,
  type HostState,
  type OutlierDetectionOptions,
  OutlierDetector,
} from './outlier-detection.ts';
import { retryBudget, type RetryBudget } from './retry-budget.ts';
import type { CallOutcome, Selector } from './selector.ts';
import { trackedCall$ } from './tracked-call.ts';
import { tries$ } from './tries.ts';

/** Options of {@link balance}: those of its calls, for which they are the defaults, and of what they share. */
export interface BalanceOptions extends Omit<CallOptions, 'affinity'> {
  /** When hosts that fail, or are slow, are left out; `false`: never. */
  readonly outlierDetection?: OutlierDetectionOptions | false;
  /** How many retries and hedges there may be; give the same one to several. `false`: any number. Default: its own. */
  readonly retryBudget?: RetryBudget | false;
  /** Whether an error of a call speaks against its host; a "not found" does not. Default: every error does. */
  readonly isFailure?: (error: unknown) => boolean;
  /** Where the time is taken from. Default: RxJS's `asyncScheduler`, and a monotonic clock to measure with. */
  readonly scheduler?: SchedulerLike;
}

/** Options of one call. */
export interface CallOptions {
  /** What the choice of a host should stick to, for the selectors that use it. */
  readonly affinity?: string;
  /** How long each try waits for a host before its `no-host` error; `Infinity`: without a limit. Default 10000. */
  readonly waitMs?: number;
  /**
   * For calls that may be made twice: how often a call that failed before its first value is tried again elsewhere, as
   * far as the budget goes. Default 0.
   */
  readonly retries?: number;
  /** Which errors are retried. Default: those that are failures by `isFailure`. `no-host` never is. */
  readonly isRetryable?: (error: unknown) => boolean;
  /**
   * For calls that may be made twice: when there is no answer after this time, a second try is made beside the first, at
   * another host and as far as the budget goes; the first to answer is kept. `'p95'`: the time in which 95 % of the last
   * 256 calls were answered, once there were 20. Default: none.
   */
  readonly hedgeAfterMs?: number | 'p95';
  /**
   * For calls that may be made twice: when the chosen host leaves while the call is in flight, it is unsubscribed and
   * made again elsewhere. What it had emitted by then is not taken back. Default `false`.
   */
  readonly restartWhenGone?: boolean;
}

/**
 * Makes what a call does, from the host and its key. Its signal is aborted when the call is unsubscribed or has lost the
 * race against a second try: give it to `fetch`, or to whatever else a Promise alone would leave running.
 */
export type Project<T, R> = (host: T, key: string, signal: AbortSignal) => ObservableInput<R>;

/** Makes calls to hosts; see {@link balance}. */
export interface Call<T> {
  /** An Observable each of whose subscriptions chooses a host and makes a call to it. */
  <R>(project: Project<T, R>, options?: CallOptions): Observable<R>;
  /** How each host stands, and why: on subscription, and whenever that has changed. */
  readonly states$: Observable<ReadonlyMap<string, HostState>>;
  /** Lets go of the hosts. Calls that wait for one fail, calls in flight go on, a later call connects again. */
  release(): void;
}

/**
 * Turns hosts and a way to choose among them into calls that land on a good one.
 *
 * `call$(project)` is a cold Observable. Each subscription waits for a host, chooses one, and subscribes to what
 * `project` makes of it; the selector is told of the call's start, its latency (to the first value) and its end. All of
 * that, and what the call emits, is in the subscriber's asynchronous context (`AsyncLocalStorage`), also when it waited.
 *
 * With `retries`, a call that failed is tried again elsewhere, and with `hedgeAfterMs` beside: never at the host that
 * just failed while there is another, and at none that failed since the last success while there is one that did not.
 * Both are taken out of a budget, 20 % of the calls or 3 a second, so that an outage is not multiplied. RxJS's own
 * `retry` goes elsewhere, too, but knows no budget.
 *
 * A timeout belongs inside `project`, where it counts as the host's failure; one around the call ends all of its tries.
 *
 * A host that fails several times in a row is left out for a while that grows each time it fails again soon after; the
 * first failure on its return is enough. So is a host that fails much more often than the others, or is much slower. At
 * most half of the hosts are ever left out: when more than that fail, everyone is tried, for the fault is then likely
 * not theirs.
 *
 * The first call, or a subscription to `states$`, subscribes to `hosts$`, once for all calls; it stays subscribed between
 * calls, so that they need not wait and nothing learned is lost, until `call$.release()`. When `hosts$` completes, its
 * last hosts stay; when it fails, the calls that wait for a host fail with its error, and the next call subscribes to it
 * again.
 *
 * A call's errors are those of `project`'s Observable, those of `hosts$`, and `RxEtcdError`s with the code
 * `no-host`, after `waitMs` without a host, and `callback-failed`, when another function of yours throws. Unsubscribing from a call unsubscribes from
 * `project`'s Observable and aborts its signal.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { balance, leastLoaded } from 'rx-etcd';
 *
 * const hosts$ = of(new Map([['a', 'http://10.0.0.1'], ['b', 'http://10.0.0.2']]));
 * const call$ = balance(hosts$, leastLoaded(), { retries: 2 });
 * call$((host, key, signal) => of(`answer of ${host}`)) // fetch(`${host}/users/7`, { signal }), say
 *   .subscribe((answer) => console.log(answer));
 * call$.release();
 * ```
 */
export function balance<T>(
  hosts$: ObservableInput<ReadonlyMap<string, T>>,
  selector: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
  options: BalanceOptions = {},
): Call<T> {
  const from$ = hostsOf$('hosts$', hosts$);
  checkBalanceOptions(options);
  const { outlierDetection = {}, isFailure = () => true, scheduler = asyncScheduler } = options;
  const clock = { now: steadyClock(scheduler) };
  const budget = options.retryBudget === false ? undefined : (options.retryBudget ?? retryBudget({ scheduler: clock }));
  const changed$ = new Subject<void>();
  const detector =
    outlierDetection === false ? undefined : new OutlierDetector(outlierDetection, clock, () => changed$.next());
  const source = new HostSource(from$, selector, ({ hosts }) => detector?.follow(hosts));
  const p95 = new LatencyQuantile(0.95);

  function call$<R>(project: Project<T, R>, callOptions: CallOptions = {}): Observable<R> {
    checkFunction('project', project);
    checkCallOptions('options', callOptions);
    const { waitMs = options.waitMs ?? 10_000, retries = options.retries ?? 0, affinity } = callOptions;
    const { isRetryable = options.isRetryable ?? isFailure, hedgeAfterMs = options.hedgeAfterMs } = callOptions;
    const { restartWhenGone = options.restartWhenGone ?? false } = callOptions;
    // Shared by the subscriptions of one call: so one that is made again knows where it failed.
    const misses = new Misses();

    return defer(() => {
      const inContext = currentContext();
      const selectors$ = inContext$(source.selectors$, inContext);
      // The hosts that this subscription has a try at.
      const inFlight = new Set<string>();
      const chooser: Chooser<T> = { selectors$, affinity, misses, inFlight, detector };

      const made$ = ([key, host]: readonly [string, T], current: Selector<T>): Observable<R> => {
        const begin = (): ((outcome: CallOutcome) => void) => {
          const told = beginCall(current, key, chooser);
          inFlight.add(key);
          return (outcome) => {
            inFlight.delete(key);
            if (outcome.result === 'answered') p95.add(outcome.latencyMs);
            told(outcome);
          };
        };
        const tracked$ = trackedCall$((signal) => project(host, key, signal), { clock, isFailure, begin });
        return restartWhenGone ? untilGone$(tracked$, key, inContext) : tracked$;
      };

      const try$: Observable<R> = waitForHost$(chooser, waitMs, scheduler).pipe(
        mergeMap(({ entry, current }) => made$(entry, current)),
      );

      const tryBeside$ = (begin: () => boolean): Observable<R> =>
        selectors$.pipe(
          first(),
          mergeMap((current) => {
            const entry = pickEntry(current, affinity, (key) => isTried(key, chooser) || isOut(key, chooser));
            return entry !== undefined && begin() ? made$(entry, current) : EMPTY;
          }),
        );

      const untilGone$ = (tracked$: Observable<R>, key: string, context: InContext): Observable<R> =>
        defer(() => {
          let again$: Observable<R> = EMPTY;
          const gone$ = inContext$(source.leaving$(key), context).pipe(
            catchError(() => NEVER),
            tap(() => {
              misses.add(key);
              again$ = try$;
            }),
          );
          return concat(
            tracked$.pipe(takeUntil(gone$)),
            defer(() => again$),
          );
        });

      return tries$({
        try$,
        tryBeside$,
        retries,
        isRetryable: (error) => !isNoHost(error) && isRetryable(error),
        budget,
        hedgeAfterMs: hedgeAfterMs === 'p95' ? p95.valueMs() : hedgeAfterMs,
        scheduler,
      });
    });
  }

  const states$ = defer(() =>
    merge(source.selectors$, changed$.pipe(switchMap(() => source.selectors$.pipe(first())))).pipe(
      switchMap((current) => statesOf$(current, detector, scheduler)),
    ),
  );
  return Object.assign(call$, { states$, release: () => source.release() });
}

interface Chooser<T> {
  readonly selectors$: Observable<Selector<T>>;
  readonly affinity: string | undefined;
  readonly misses: Misses;
  readonly inFlight: ReadonlySet<string>;
  readonly detector: OutlierDetector | undefined;
}

interface Chosen<T> {
  readonly entry: readonly [key: string, host: T];
  readonly current: Selector<T>;
}

function waitForHost$<T>(chooser: Chooser<T>, waitMs: number, scheduler: SchedulerLike): Observable<Chosen<T>> {
  return chooser.selectors$.pipe(
    map((current) => ({ current, entry: chooseEntry(current, chooser) })),
    first((chosen): chosen is Chosen<T> => chosen.entry !== undefined, undefined),
    timeout({
      first: Math.min(waitMs, LONGEST_TIMER_MS),
      scheduler,
      with: () => throwError(() => noHost(waitMs)),
    }),
    map((chosen: Chosen<T> | undefined) => {
      if (chosen === undefined) throw released();
      return chosen;
    }),
  );
}

/**
 * The best there is: not ejected and not tried by this call; else not ejected and not the one that just failed; else an
 * ejected one that did not just fail; else any that is there.
 */
function chooseEntry<T>(selector: Selector<T>, chooser: Chooser<T>): readonly [string, T] | undefined {
  const { affinity, misses, inFlight, detector } = chooser;
  detector?.passTime();
  if (misses.isEmpty() && inFlight.size === 0 && detector?.isIdle() !== false) return pickEntry(selector, affinity);
  const entry = pickEntry(selector, affinity, (key) => isTried(key, chooser) || isOut(key, chooser));
  if (entry !== undefined) return entry;
  misses.forgetAllButLast();
  return (
    pickEntry(selector, affinity, (key) => misses.isLast(key) || isOut(key, chooser)) ??
    pickEntry(selector, affinity, misses.isLast) ??
    pickEntry(selector, affinity)
  );
}

function isTried(key: string, { misses, inFlight }: Chooser<unknown>): boolean {
  return misses.has(key) || inFlight.has(key);
}

function isOut(key: string, { detector }: Chooser<unknown>): boolean {
  return detector?.isLeftOut(key) === true;
}

/** Of any selector, the user's own included: a host that is `undefined` is none. */
function pickEntry<T>(
  selector: Selector<T>,
  affinity: string | undefined,
  avoid?: (key: string) => boolean,
): readonly [string, T] | undefined {
  const entry: readonly [string, T | undefined] | undefined = selector.pickEntry(affinity, avoid);
  return entry?.[1] === undefined ? undefined : [entry[0], entry[1]];
}

function beginCall<T>(
  selector: Selector<T>,
  key: string,
  { misses, detector }: Chooser<T>,
): (outcome: CallOutcome) => void {
  const learned = selector.started?.(key);
  return (outcome) => {
    // Giving up may be a timeout around the call or somebody who lost interest: no ground to eject a host, but enough to
    // go elsewhere when the same call is made again.
    if (outcome.result === 'answered') misses.clear();
    else misses.add(key);
    detector?.learn(key, outcome);
    // Last: it may be the user's, and throw.
    learned?.(outcome);
  };
}

/** The states now and whenever a host's time out is over, until the next change makes others. */
function statesOf$(
  selector: Selector<unknown>,
  detector: OutlierDetector | undefined,
  scheduler: SchedulerLike,
): Observable<ReadonlyMap<string, HostState>> {
  return defer(() => {
    const states = new Map<string, HostState>();
    for (const key of selector.hosts.keys()) states.set(key, detector?.stateOf(key) ?? { status: 'healthy' });
    const returnMs = detector?.nextReturnMs();
    if (returnMs === undefined) return of(states);
    return concat(
      of(states),
      timer(Math.ceil(returnMs), scheduler).pipe(switchMap(() => statesOf$(selector, detector, scheduler))),
    );
  });
}

function isNoHost(error: unknown): boolean {
  return error instanceof RxEtcdError && error.code === 'no-host';
}

function noHost(waitedMs: number): RxEtcdError {
  return new RxEtcdError(
    'no-host',
    `no host to call came within ${waitedMs} ms: check that one is registered under the prefix and passes the layers before the selector`,
  );
}

function released(): RxEtcdError {
  return new RxEtcdError('no-host', 'no host to call: the balancer was released while the call waited for one');
}

const CALL_OPTIONS: Record<keyof CallOptions, true> = {
  affinity: true,
  waitMs: true,
  retries: true,
  isRetryable: true,
  hedgeAfterMs: true,
  restartWhenGone: true,
};

function checkCallOptions(argument: string, options: CallOptions): void {
  checkOptions(argument, options, CALL_OPTIONS);
  const { affinity, waitMs = 0, retries = 0, isRetryable, hedgeAfterMs = 0 } = options;
  if (affinity !== undefined && typeof affinity !== 'string') {
    throw invalidArgument(`${argument}.affinity`, 'a string', affinity);
  }
  if (!(typeof waitMs === 'number' && waitMs >= 0)) {
    throw invalidArgument(`${argument}.waitMs`, 'a number, 0 or more', waitMs);
  }
  checkWholeNumber(`${argument}.retries`, retries, 0);
  if (isRetryable !== undefined) checkFunction(`${argument}.isRetryable`, isRetryable);
  if (hedgeAfterMs !== 'p95') durationMs(`${argument}.hedgeAfterMs`, hedgeAfterMs);
}

function checkBalanceOptions(options: BalanceOptions): void {
  checkOptions('options', options, {
    ...CALL_OPTIONS,
    outlierDetection: true,
    retryBudget: true,
    isFailure: true,
    scheduler: true,
  } satisfies Record<keyof BalanceOptions, true>);
  const { outlierDetection, retryBudget: budget, isFailure, scheduler, ...callOptions } = options;
  checkCallOptions('options', callOptions);
  if (outlierDetection !== undefined && outlierDetection !== false) {
    checkOutlierDetection('options.outlierDetection', outlierDetection);
  }
  if (budget !== undefined && budget !== false && typeof (budget as RetryBudget | null)?.withdraw !== 'function') {
    throw invalidArgument('options.retryBudget', 'what retryBudget() gives, or false', budget);
  }
  if (isFailure !== undefined) checkFunction('options.isFailure', isFailure);
  if (scheduler !== undefined) checkClock('options.scheduler', scheduler);
}
