import {
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
  asyncScheduler,
  type Unsubscribable,
} from 'rxjs';
import { invalidArgument, RxEtcdError } from '../errors.ts';
import { monotonicClock } from '../time/monotonic-clock.ts';
import { LONGEST_TIMER_MS } from '../time/durations.ts';
import { Ejection, type EjectionOptions, type HostState } from './ejection.ts';
import { HostSource } from './host-source.ts';
import type { CallOutcome, Selector } from './selector.ts';
import { trackedCall$ } from './tracked-call.ts';

/** Options of {@link balance}. */
export interface BalanceOptions {
  /** How long a call waits for a host before its `no-host` error. Default 10000. */
  readonly waitMs?: number;
  /** When hosts that keep failing are left out; `false`: never. */
  readonly ejection?: EjectionOptions | false;
  /** Whether an error of a call speaks against its host; a "not found" does not. Default: every error does. */
  readonly isFailure?: (error: unknown) => boolean;
  /** Where the time is taken from. Default: RxJS's `asyncScheduler`, and a monotonic clock to measure with. */
  readonly scheduler?: SchedulerLike;
}

/** Options of one call. */
export interface CallOptions {
  /** What the choice of a host should stick to, for the selectors that use it. */
  readonly affinity?: string;
  /** How long to wait for a host. Default: as {@link BalanceOptions.waitMs}. */
  readonly waitMs?: number;
  /**
   * For calls that may be made twice: when the chosen host leaves while the call is in flight, it is
   * unsubscribed and made again elsewhere. What it had emitted by then is not taken back. Default `false`.
   */
  readonly restartWhenGone?: boolean;
}

/** Makes calls to hosts; see {@link balance}. */
export interface Call<T> extends Unsubscribable {
  /** An Observable each of whose subscriptions chooses a host and makes a call to it. */
  <R>(project: (host: T, key: string) => ObservableInput<R>, options?: CallOptions): Observable<R>;
  /** How each host stands: on subscription, and whenever that has changed. */
  readonly states$: Observable<ReadonlyMap<string, HostState>>;
  /** Lets go of the hosts. Calls that wait for one fail, calls in flight go on, a later call connects again. */
  unsubscribe(): void;
}

/**
 * Turns hosts and a way to choose among them into calls that land on a good one.
 *
 * `call$(project)` is a cold Observable. Each subscription waits for a host, chooses one, and subscribes to
 * what `project` makes of it; the selector is told of the call's start, its latency (to the first value) and
 * its end. So `call$(…).pipe(retry(2))` tries elsewhere: never the host that just failed while there is
 * another, and none that failed since the last success while there is one that did not.
 *
 * A timeout belongs inside `project`, where it counts as the host's failure; one around the call only makes
 * the next try go elsewhere.
 *
 * A host that fails several times in a row is left out for a while that grows each time it fails again
 * soon after; the first failure on its return is enough. At most half of the hosts are ever left out: when
 * more than that fail, everyone is tried, for the fault is then likely not theirs.
 *
 * The first call, or a subscription to `states$`, subscribes to `hosts$`, once for all calls; it stays
 * subscribed between calls, so that they need not wait and nothing learned is lost, until
 * `call$.unsubscribe()`. When `hosts$` completes, its last hosts stay; when it fails, the calls that wait for
 * a host fail with its error, and the next call subscribes to it anew.
 *
 * A call's errors are those of `project`'s Observable, those of `hosts$`, and `RxEtcdError`s with the code
 * `no-host`, after `waitMs` without a host. Unsubscribing from a call unsubscribes from `project`'s Observable.
 *
 * @example
 * ```ts
 * import { of, retry } from 'rxjs';
 * import { balance, leastLoaded } from 'rx-etcd';
 *
 * const hosts$ = of(new Map([['a', 'http://10.0.0.1'], ['b', 'http://10.0.0.2']]));
 * const call$ = balance(hosts$, leastLoaded());
 * call$((host) => of(`answer of ${host}`)) // fromFetch(`${host}/users/7`), say
 *   .pipe(retry(2))
 *   .subscribe((answer) => console.log(answer));
 * call$.unsubscribe();
 * ```
 */
export function balance<T>(
  hosts$: Observable<ReadonlyMap<string, T>>,
  selector: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
  options: BalanceOptions = {},
): Call<T> {
  const { waitMs = 10_000, ejection, isFailure = () => true, scheduler = asyncScheduler } = options;
  const clock = options.scheduler ?? monotonicClock;
  checkWait('waitMs', waitMs);
  const changed$ = new Subject<void>();
  const out = ejection === false ? undefined : new Ejection(ejection ?? {}, clock, () => changed$.next());
  const source = new HostSource(hosts$, selector, ({ hosts }) => out?.follow(hosts));

  function call$<R>(
    project: (host: T, key: string) => ObservableInput<R>,
    callOptions: CallOptions = {},
  ): Observable<R> {
    const { affinity, restartWhenGone = false, waitMs: callWaitMs = waitMs } = callOptions;
    checkWait('waitMs', callWaitMs);
    // Shared by the subscriptions of one call: that is how one that is made again knows where it failed.
    const misses = new Misses();

    const attempt$: Observable<R> = defer(() =>
      source.selectors$.pipe(
        map((current) => ({ current, entry: chooseEntry(current, affinity, misses, out) })),
        first(({ entry }) => entry !== undefined, undefined),
        timeout({
          first: Math.min(callWaitMs, LONGEST_TIMER_MS),
          scheduler,
          with: () => throwError(() => noHost(callWaitMs)),
        }),
        mergeMap((chosen) => {
          if (chosen?.entry === undefined) return throwError(() => letGo());
          const [key, host] = chosen.entry;
          const made$ = trackedCall$(
            defer(() => project(host, key)),
            { clock, isFailure, begin: () => beginCall(chosen.current, key, misses, out) },
          );
          return restartWhenGone ? untilGone$(made$, key) : made$;
        }),
      ),
    );

    const untilGone$ = (made$: Observable<R>, key: string): Observable<R> =>
      defer(() => {
        let again$: Observable<R> = EMPTY;
        const gone$ = source.leaving$(key).pipe(
          catchError(() => NEVER),
          tap(() => {
            misses.add(key);
            again$ = attempt$;
          }),
        );
        return concat(
          made$.pipe(takeUntil(gone$)),
          defer(() => again$),
        );
      });

    return attempt$;
  }

  const states$ = defer(() =>
    merge(source.selectors$, changed$.pipe(switchMap(() => source.selectors$.pipe(first())))).pipe(
      switchMap((current) => statesOf$(current, out, scheduler)),
    ),
  );
  return Object.assign(call$, { states$, unsubscribe: () => source.release() });
}

// What is longer makes a Node timer fire at once.

/** The hosts that failed one call, or let it wait until it was given up, since it last succeeded. */
class Misses {
  readonly #keys = new Set<string>();
  #last: string | undefined;

  readonly has = (key: string): boolean => this.#keys.has(key);
  readonly isLast = (key: string): boolean => key === this.#last;

  isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  add(key: string): void {
    this.#keys.add(key);
    this.#last = key;
  }

  clear(): void {
    this.#keys.clear();
    this.#last = undefined;
  }

  /** Begins a new round, when every host has failed. */
  forgetAllButLast(): void {
    const last = this.#last;
    this.clear();
    if (last !== undefined) this.add(last);
  }
}

/**
 * The best there is: not ejected and not failed in this call; else not ejected and not the one that just
 * failed; else an ejected one that did not just fail; else whoever is there.
 */
function chooseEntry<T>(
  selector: Selector<T>,
  affinity: string | undefined,
  misses: Misses,
  out: Ejection | undefined,
): readonly [string, T] | undefined {
  if (misses.isEmpty() && out?.isIdle() !== false) return selector.pickEntry(affinity);
  const isOut = (key: string): boolean => out?.isLeftOut(key) === true;
  const entry = selector.pickEntry(affinity, (key) => misses.has(key) || isOut(key));
  if (entry !== undefined) return entry;
  misses.forgetAllButLast();
  return (
    selector.pickEntry(affinity, (key) => misses.isLast(key) || isOut(key)) ??
    selector.pickEntry(affinity, misses.isLast) ??
    selector.pickEntry(affinity)
  );
}

function beginCall(
  selector: Selector<unknown>,
  key: string,
  misses: Misses,
  out: Ejection | undefined,
): (outcome: CallOutcome) => void {
  const learned = selector.started?.(key);
  return (outcome) => {
    learned?.(outcome);
    // Giving up may be a timeout around the call or somebody who lost interest: no ground to eject a host, but
    // enough to go elsewhere when the same call is made again.
    if (outcome.result === 'answered') misses.clear();
    else misses.add(key);
    if (outcome.result === 'answered') out?.answered(key);
    if (outcome.result === 'failed') out?.failed(key);
  };
}

/** The states now and whenever a host's time out is over, until the next change makes others. */
function statesOf$(
  selector: Selector<unknown>,
  out: Ejection | undefined,
  scheduler: SchedulerLike,
): Observable<ReadonlyMap<string, HostState>> {
  return defer(() => {
    const states = new Map<string, HostState>();
    for (const key of selector.hosts.keys()) states.set(key, out?.stateOf(key) ?? { status: 'healthy' });
    const returnMs = out?.nextReturnMs();
    if (returnMs === undefined) return of(states);
    return concat(
      of(states),
      timer(Math.ceil(returnMs), scheduler).pipe(switchMap(() => statesOf$(selector, out, scheduler))),
    );
  });
}

function noHost(waitedMs: number): RxEtcdError {
  return new RxEtcdError(
    'no-host',
    `no host to call came within ${waitedMs} ms: check that one is registered under the prefix and passes the layers before the selector`,
  );
}

function letGo(): RxEtcdError {
  return new RxEtcdError('no-host', 'no host to call: the balancer was unsubscribed while the call waited for one');
}

function checkWait(argument: string, waitMs: number): void {
  if (!(waitMs >= 0)) throw invalidArgument(argument, 'a number, 0 or more', waitMs);
}
