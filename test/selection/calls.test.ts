import { AsyncLocalStorage } from 'node:async_hooks';
import * as fc from 'fast-check';
import {
  BehaviorSubject,
  catchError,
  concat,
  defer,
  map,
  mergeMap,
  NEVER,
  type Observable,
  of,
  retry,
  Subject,
  take,
  throwError,
  timer,
  toArray,
} from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import type { RxEtcdError } from '../../src/errors.ts';
import { balance, type BalanceOptions, type CallOptions } from '../../src/selection/balance.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { retryBudget } from '../../src/selection/retry-budget.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import type { CallOutcome, Selector } from '../../src/selection/selector.ts';
import { hostsOf, keysOf } from './support.ts';

type Hosts = ReadonlyMap<string, string>;
const inTurn = () => roundRobin<string>({ startAfter: '' });

describe('retries of a call', () => {
  it('go elsewhere until one answers, and are not made when nothing failed', () => {
    const tried: string[] = [];
    const call$ = balance(of(hostsOf('a', 'b', 'c')), inTurn(), { retries: 2 });
    const answers$ = call$((_, key) => {
      tried.push(key);
      return key === 'c' ? of(key) : throwError(() => `${key} is down`);
    });
    expect(collect(answers$)).toEqual(['c', 'complete']);
    expect(tried).toEqual(['a', 'b', 'c']);
    expect(collect(call$(() => of(1), { retries: 9 }))).toEqual([1, 'complete']);
  });

  it('multiply an outage by no more than the budget says', () => {
    // Went wrong: 800 tries for 200 calls.
    const time = { ms: 0 };
    const scheduler = Object.assign(new TestScheduler(() => undefined), { now: () => time.ms });
    let tries = 0;
    const call$ = balance(of(hostsOf(...keysOf(6))), inTurn(), { retries: 3, scheduler });
    const down$ = (): Observable<never> => (tries++, throwError(() => 'down'));
    for (let i = 0; i < 200; i++, time.ms += 5) expect(collect(call$(down$))).toEqual(['down']);
    expect(tries).toBeLessThanOrEqual(240);
    expect(tries).toBeGreaterThan(220);
  });

  it('share a budget that is given to several', () => {
    const budget = retryBudget({ ratio: 0, perSecond: 1, windowMs: 3000 });
    let tries = 0;
    for (const retryBudget of [budget, budget, false as const]) {
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { retries: 5, retryBudget });
      collect(call$(() => (tries++, throwError(() => 'down'))));
    }
    // 1 + 3, 1, and 1 + 5.
    expect(tries).toBe(11);
  });

  it('are not made for what is no failure, after a first value, or for want of a host', () => {
    run((scheduler, { cold, expectObservable }) => {
      let tries = 0;
      const options: BalanceOptions = { scheduler, retries: 3, isFailure: (error) => error !== 'not found', waitMs: 5 };
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), options);
      const counted$ = (marbles: string, error: string) => call$(() => (tries++, cold(marbles, {}, error)));
      expectObservable(counted$('--#', 'not found')).toBe('--#', {}, 'not found');
      expectObservable(counted$('-a-#', 'cut')).toBe('-a-#', {}, 'cut');
      const nobody$ = balance(of(hostsOf()), inTurn(), options)(() => of('never'));
      expectObservable(nobody$.pipe(catchError((error: RxEtcdError) => of(error.code)))).toBe('-----(c|)', {
        c: 'no-host',
      });
      expectObservable(timer(20, scheduler).pipe(map(() => tries))).toBe('20ms (t|)', { t: 2 });
    });
  });

  it('are for isRetryable to say', () => {
    const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { retries: 3, isRetryable: (error) => error === 'busy' });
    let tries = 0;
    expect(collect(call$(() => throwError(() => (++tries < 3 ? 'busy' : 'broken'))))).toEqual(['broken']);
    expect(tries).toBe(3);
  });
});

describe('hedging', () => {
  it('makes a second try elsewhere after the delay, and keeps the first to answer', () => {
    run((scheduler, { cold, expectObservable, expectSubscriptions }) => {
      const [slow, quick] = [cold('--------s|'), cold('--q-q|')];
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, hedgeAfterMs: 3 });
      expectObservable(call$((_, key) => (key === 'a' ? slow : quick))).toBe('-----q-q|');
      expectSubscriptions(slow.subscriptions).toBe('^----!');
      expectSubscriptions(quick.subscriptions).toBe('---^----!');
    });
  });

  it('makes none when there was an answer, no other host, or no budget left', () => {
    run((scheduler, { cold, expectObservable }) => {
      let tries = 0;
      const late$ = (keys: string[], options: CallOptions & BalanceOptions, marbles: string) =>
        balance(of(hostsOf(...keys)), inTurn(), { scheduler, hedgeAfterMs: 3, ...options })(
          () => (tries++, cold(marbles)),
        );
      expectObservable(late$(['a', 'b'], {}, '--s---t|')).toBe('--s---t|');
      expectObservable(late$(['a'], {}, '------s|')).toBe('------s|');
      const empty = retryBudget({ ratio: 0, perSecond: 0 });
      expectObservable(late$(['a', 'b'], { retryBudget: empty }, '------s|')).toBe('------s|');
      // The first fails when it is known that there is nobody beside it.
      expectObservable(late$(['a'], {}, '------#')).toBe('------#');
      expectObservable(timer(20, scheduler).pipe(map(() => tries))).toBe('20ms (t|)', { t: 4 });
    });
  });

  it('fails only when all tries have', () => {
    run((scheduler, { cold, expectObservable }) => {
      const inner: Record<string, Observable<string>> = { a: cold('----#', {}, 'a'), b: cold('---b|') };
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, hedgeAfterMs: 2 });
      expectObservable(call$((_, key) => inner[key] as Observable<string>)).toBe('-----b|');
      const both$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, hedgeAfterMs: 2 });
      expectObservable(both$((_, key) => cold('----#', {}, key))).toBe('------#', {}, 'b');
    });
  });

  it("takes the time in which 95 % were answered for 'p95', once that is known", () => {
    run((scheduler, { cold, expectObservable }) => {
      let tries = 0;
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, hedgeAfterMs: 'p95' });
      const quick$ = call$(() => cold('--q|'));
      const learning$ = concat(...Array.from({ length: 40 }, () => quick$)).pipe(
        toArray(),
        map(() => 'learned'),
      );
      const slow$ = call$(() => (tries++ === 0 ? cold('--------s|') : cold('-r|')));
      // 40 times 3 ms; then 2 ms until the second try, and 1 ms for it.
      expectObservable(concat(learning$, slow$)).toBe('120ms l--r|', { l: 'learned', r: 'r' });
    });
  });

  it('leaves no try behind and counts nothing in flight, whatever tries do', () => {
    const outcome = fc.record({ ms: fc.nat(9), result: fc.constantFrom('value', 'error', 'never', 'throw') });
    fc.assert(
      fc.property(
        fc.array(fc.array(outcome, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        fc.nat(3),
        fc.option(fc.nat(6), { nil: undefined }),
        fc.nat(25),
        (calls, retries, hedgeAfterMs, unsubscribeAfterMs) => {
          run((scheduler, { expectObservable }) => {
            const running = new Map<string, number>();
            const ended: string[] = [];
            let told: Selector<string> | undefined;
            const options: BalanceOptions = { scheduler, retries, ...(hedgeAfterMs !== undefined && { hedgeAfterMs }) };
            const call$ = balance(
              of(hostsOf('a', 'b', 'c')),
              (hosts$) =>
                hosts$.pipe(
                  leastLoaded(),
                  map((selector) => (told = telling(selector, running))),
                ),
              options,
            );
            for (const outcomes of calls) {
              const left = [...outcomes];
              const answer$ = call$(() => {
                const { ms, result } = left.shift() ?? { ms: 1, result: 'value' as const };
                if (result === 'throw') throw new Error('thrown');
                if (result === 'never') return NEVER;
                return timer(ms, scheduler).pipe(map(() => (result === 'value' ? 1 : raise())));
              });
              const subscription = answer$.subscribe({
                error: () => ended.push('error'),
                complete: () => ended.push(''),
              });
              scheduler.schedule(() => subscription.unsubscribe(), unsubscribeAfterMs);
            }
            const inFlight$ = timer(60, scheduler).pipe(
              map(() => [...running.values()].filter((count) => count !== 0)),
            );
            expectObservable(inFlight$).toBe('60ms (n|)', { n: [] });
            expect(told).toBeDefined();
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the signal of a call', () => {
  it('is aborted by unsubscribing and by losing the race, not by the end of the call', () => {
    run((scheduler, { cold, expectObservable }) => {
      const signals: AbortSignal[] = [];
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler });
      const signalled$ = (marbles: string, options: CallOptions = {}) =>
        call$((_, __, signal) => (signals.push(signal), cold(marbles)), options);
      expectObservable(signalled$('-s|')).toBe('-s|');
      expectObservable(signalled$('-#')).toBe('-#');
      expectObservable(signalled$('-----s'), '--!').toBe('');
      expectObservable(signalled$('-s---s').pipe(take(1))).toBe('-(s|)');
      expectObservable(signalled$('---s|', { hedgeAfterMs: 1 })).toBe('---s|');
      const aborted$ = timer(20, scheduler).pipe(map(() => signals.map((signal) => signal.aborted)));
      expectObservable(aborted$).toBe('20ms (a|)', { a: [false, false, true, true, false, true] });
    });
  });

  it('cancels the request of a Promise', async () => {
    const call$ = balance(of(hostsOf('a')), inTurn());
    let reason: unknown;
    const request = new Promise<string>((resolve) => setImmediate(() => resolve('late')));
    const subscription = call$((_, __, signal) => {
      signal.addEventListener('abort', () => void (reason = signal.reason));
      return request;
    }).subscribe(() => expect.unreachable());
    subscription.unsubscribe();
    expect(reason).toMatchObject({ name: 'AbortError' });
    await request;
  });
});

describe('the asynchronous context of a call', () => {
  it("is its subscriber's, also when it had to wait for a host or was made again", () => {
    // Went wrong: a call that waited ran in the context of whatever had opened the stream of hosts.
    const request = new AsyncLocalStorage<string>();
    const hosts$ = new BehaviorSubject<Hosts>(hostsOf());
    const seen: unknown[] = [];
    let opened: unknown = 'not yet';
    const opening$ = defer(() => ((opened = request.getStore()), hosts$));
    const call$ = balance(opening$, inTurn());
    const look = (what: string): void => void seen.push(`${what} ${request.getStore()}`);
    for (const id of ['one', 'two']) {
      request.run(id, () => {
        call$((_, key) => (look(`project ${key}`), defer(() => (look('subscribe'), NEVER))), {
          restartWhenGone: true,
        }).subscribe();
        balance(hosts$, inTurn())((host) => of(host)).subscribe(() => look('value'));
      });
    }
    request.run('the stream', () => {
      hosts$.next(hostsOf('a'));
      hosts$.next(hostsOf('b'));
    });
    const [one, two] = ['one', 'two'].map((id) => seen.filter((line) => String(line).endsWith(id)));
    expect(one).toEqual(['project a one', 'subscribe one', 'value one', 'project b one', 'subscribe one']);
    expect(two).toEqual(['project a two', 'subscribe two', 'value two', 'project b two', 'subscribe two']);
    expect(seen).toHaveLength(10);
    expect(opened).toBeUndefined();
  });

  it("is its subscriber's for the error of the hosts", () => {
    const request = new AsyncLocalStorage<string>();
    const hosts$ = new Subject<Hosts>();
    const seen: unknown[] = [];
    const call$ = balance(hosts$, inTurn());
    request.run('one', () => call$(() => NEVER).subscribe({ error: () => seen.push(request.getStore()) }));
    request.run('the stream', () => hosts$.error('denied'));
    expect(seen).toEqual(['one']);
  });
});

describe("a function of the user's that throws", () => {
  const bug = new Error('bug');
  const throws = (): never => {
    throw bug;
  };
  const failed = { code: 'callback-failed', cause: bug };

  it('is an error of the one call, and the call has ended for all others', () => {
    // Went wrong: an isFailure that threw ended the process, and the call neither failed nor completed.
    const down$ = (): Observable<never> => throwError(() => 'down');
    for (const options of [{ isFailure: throws }, { isRetryable: throws, retries: 1 }]) {
      const running = new Map<string, number>();
      const call$ = balance(
        of(hostsOf('a', 'b')),
        (hosts$) =>
          hosts$.pipe(
            inTurn(),
            map((selector) => telling(selector, running)),
          ),
        options,
      );
      expect(collect(call$(down$))).toMatchObject([failed]);
      expect([...running.values()]).toEqual([0]);
      expect(collect(call$(() => of('well')))).toEqual(['well', 'complete']);
    }
  });

  it('in the outcome function of a selector: at an answer, a failure, and in silence after unsubscribing', () => {
    const call$ = balance(
      of(hostsOf('a')),
      map((hosts): Selector<string> => ({
        hosts,
        pick: () => 'host a',
        pickEntry: () => ['a', 'host a'],
        started: () => throws,
      })),
    );
    expect(collect(call$(() => of(1)))).toMatchObject([1, failed]);
    expect(collect(call$(() => throwError(() => 'down')))).toMatchObject([failed]);
    expect(collect(call$(() => concat(of(1), NEVER)).pipe(take(1)))).toEqual([1, 'complete']);
    call$(() => NEVER)
      .subscribe()
      .unsubscribe();
  });

  it('in the projection, as what it throws, and in started or pickEntry', () => {
    const entry = ['a', 'host a'] as const;
    const of$ = (selector: Partial<Selector<string>>) =>
      balance(
        of(hostsOf('a')),
        map((hosts): Selector<string> => ({ hosts, pick: () => 'host a', pickEntry: () => entry, ...selector })),
      );
    expect(collect(of$({})(throws))).toEqual([bug]);
    expect(collect(of$({ started: throws })(() => of(1)))).toEqual([bug]);
    expect(collect(of$({ pickEntry: throws })(() => of(1)))).toEqual([bug]);
    expect(collect(of$({})(() => 3 as never))).toMatchObject([{ name: 'TypeError' }]);
  });
});

describe('what balance() refuses at the call', () => {
  it('names the argument', () => {
    const hosts$ = of(hostsOf('a'));
    const call$ = balance(hosts$, inTurn());
    const refused: [() => unknown, RegExp][] = [
      [() => balance(hosts$, roundRobin as never), /^selector: expected an operator .* as the call roundRobin\(\)/],
      [() => balance(hosts$, leastLoaded as never), /^selector/],
      [() => balance(hosts$, undefined as never), /^selector/],
      [() => balance(hostsOf('a') as never, inTurn()), /^hosts\$/],
      [() => balance(undefined as never, inTurn()), /^hosts\$/],
      [() => balance(hosts$, inTurn(), null as never), /^options: /],
      [() => balance(hosts$, inTurn(), { retry: 2 } as never), /^options\.retry: expected one of the options/],
      [() => balance(hosts$, inTurn(), { waitMs: NaN }), /^options\.waitMs/],
      [() => balance(hosts$, inTurn(), { retries: 0.5 }), /^options\.retries/],
      [() => balance(hosts$, inTurn(), { retryBudget: {} as never }), /^options\.retryBudget/],
      [() => balance(hosts$, inTurn(), { isFailure: true as never }), /^options\.isFailure/],
      [() => balance(hosts$, inTurn(), { scheduler: {} as never }), /^options\.scheduler/],
      [() => balance(hosts$, inTurn(), { outlierDetection: { failures: 0 } }), /^options\.outlierDetection\.failures/],
      [() => balance(hosts$, inTurn(), { outlierDetection: { fail: 1 } as never }), /^options\.outlierDetection\.fail/],
      [() => call$(undefined as never), /^project/],
      [() => call$(() => NEVER, null as never), /^options/],
      [() => call$(() => NEVER, { afinity: 'x' } as never), /^options\.afinity/],
      [() => call$(() => NEVER, { affinity: 3 as never }), /^options\.affinity/],
      [() => call$(() => NEVER, { hedgeAfterMs: 'p50' as never }), /^options\.hedgeAfterMs/],
    ];
    for (const [call, message] of refused) expect(call).toThrow(message);
  });

  it('or is an error of the calls, when it can be seen only then', () => {
    const odd$ = balance(of(hostsOf('a')), map((hosts) => hosts) as never);
    expect(collect(odd$(() => of(1)))).toMatchObject([{ code: 'invalid-argument' }]);
    const entries$ = balance(of('a', 'b') as never, inTurn());
    expect(collect(entries$(() => of(1)))).toMatchObject([{ code: 'invalid-argument' }]);
  });

  it('takes hosts from anything that can be observed', () => {
    expect(collect(balance([hostsOf('a')], inTurn())((host) => of(host)))).toEqual(['host a', 'complete']);
  });
});

describe('hosts of a call', () => {
  it('are seen when a Map is changed in place and emitted again', () => {
    const hosts = new Map([['a', 'host a']]);
    const hosts$ = new BehaviorSubject<Hosts>(hosts);
    const call$ = balance(hosts$, inTurn());
    const key = (): unknown => collect(call$((_, key) => of(key)))[0];
    expect(key()).toBe('a');
    hosts.delete('a');
    hosts.set('b', 'host b');
    // Not yet emitted: the hosts of the last emission are chosen from, and none of them is undefined.
    expect(key()).toBe('a');
    hosts$.next(hosts);
    expect(key()).toBe('b');
  });

  it('are never undefined: not one of a Map, not one of a selector of your own', () => {
    run((scheduler, { expectObservable }) => {
      const holes = new Map<string, string | undefined>([
        ['a', undefined],
        ['b', 'host b'],
      ]);
      const call$ = balance(of(holes), roundRobin({ startAfter: '' }));
      expectObservable(call$((host) => of(host)).pipe(mergeMap(() => call$((host) => of(host))))).toBe('(h|)', {
        h: 'host b',
      });
      const lying = map((hosts: Hosts): Selector<string> => ({
        hosts,
        pick: () => undefined,
        pickEntry: () => ['gone', undefined as unknown as string],
      }));
      const none$ = balance(of(hostsOf('a')), lying, { scheduler, waitMs: 5 })((host) => of(host));
      expectObservable(none$.pipe(catchError((error: RxEtcdError) => of(error.code)))).toBe('-----(c|)', {
        c: 'no-host',
      });
    });
  });

  it('say in states$ why one is ejected, and with which error', () => {
    const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { outlierDetection: { failures: 1 } });
    collect(call$((_, key) => (key === 'a' ? throwError(() => 'refused') : of(key))));
    const states = collect(call$.states$.pipe(take(1)))[0];
    expect((states as ReadonlyMap<string, unknown>).get('a')).toEqual({
      status: 'ejected',
      reason: 'failures',
      cause: 'refused',
      times: 1,
      forMs: 1000,
    });
  });

  it('go elsewhere with the retry of RxJS, too', () => {
    const call$ = balance(of(hostsOf('a', 'b')), inTurn());
    const answer$ = call$((_, key) => (key === 'a' ? throwError(() => 'down') : of(key)));
    expect(collect(answer$.pipe(retry(1)))).toEqual(['b', 'complete']);
  });
});

type Helpers = Parameters<Parameters<TestScheduler['run']>[0]>[0];

function run(test: (scheduler: TestScheduler, helpers: Helpers) => void): void {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
  scheduler.run((helpers) => test(scheduler, helpers));
}

function collect(source$: Observable<unknown>): unknown[] {
  const seen: unknown[] = [];
  source$.subscribe({
    next: (value) => seen.push(value),
    error: (error) => seen.push(error),
    complete: () => seen.push('complete'),
  });
  return seen;
}

/** A selector that counts the calls that are in flight. */
function telling(selector: Selector<string>, running: Map<string, number>): Selector<string> {
  const add = (key: string, count: number): void => void running.set(key, (running.get(key) ?? 0) + count);
  return {
    hosts: selector.hosts,
    pick: (affinity) => selector.pick(affinity),
    pickEntry: (affinity, avoid) => selector.pickEntry(affinity, avoid),
    started: (key) => {
      const learned = selector.started?.(key);
      add(key, 1);
      return (outcome: CallOutcome) => {
        add(key, -1);
        learned?.(outcome);
      };
    },
  };
}

function raise(): never {
  throw new Error('down');
}
