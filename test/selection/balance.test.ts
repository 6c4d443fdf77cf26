import * as fc from 'fast-check';
import {
  BehaviorSubject,
  concat,
  defer,
  delay,
  ignoreElements,
  map,
  mergeMap,
  NEVER,
  Observable,
  of,
  onErrorResumeNextWith,
  retry,
  Subject,
  take,
  throwError,
  timer,
} from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { balance } from '../../src/selection/balance.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import { sticky } from '../../src/selection/sticky.ts';
import { weighted } from '../../src/selection/weighted.ts';
import type { CallOutcome, Selector } from '../../src/selection/selector.ts';
import { hostsOf, seededRandom } from './support.ts';

type Hosts = ReadonlyMap<string, string>;
const inTurn = () => roundRobin<string>({ startAfter: '' });

describe('balance', () => {
  it('chooses a host for each subscription', () => {
    const call$ = balance(of(hostsOf('a', 'b')), inTurn());
    const calls$ = call$((host, key) => of(`${key}: ${host}`));
    expect([collect(calls$), collect(calls$), collect(call$((host) => [host]))]).toEqual([
      ['a: host a', 'complete'],
      ['b: host b', 'complete'],
      ['host a', 'complete'],
    ]);
  });

  it('waits for a host, and fails with a code when none comes in time', () => {
    run((scheduler, { cold, expectObservable }) => {
      const hosts$ = cold('      n--m----|', { n: hostsOf(), m: hostsOf('a') });
      const answer$ = cold('        --r|');
      const inTime$ = balance(hosts$, inTurn(), { scheduler, waitMs: 5 })(() => answer$);
      expectObservable(inTime$).toBe('-----r|');
      const call$ = balance(cold('n-----m', { n: hostsOf(), m: hostsOf('a') }), inTurn(), { scheduler, waitMs: 5 });
      const tooLate$ = call$(() => answer$).pipe(codeOfError());
      expectObservable(tooLate$).toBe('-----(c|)', { c: 'no-host' });
      const patient$ = call$(() => answer$, { waitMs: Infinity });
      expectObservable(patient$).toBe('--------r|');
    });
  });

  it('keeps the hosts of a source that completed, for every later call', () => {
    run((scheduler, { cold, expectObservable }) => {
      const call$ = balance(cold('a|', { a: hostsOf('a') }), inTurn(), { scheduler });
      expectObservable(
        concat(
          timer(3, scheduler).pipe(take(1)),
          call$((host) => of(host)),
        ),
      ).toBe('---(th|)', {
        t: 0,
        h: 'host a',
      });
      expectObservable(call$((host) => of(host))).toBe('(h|)', { h: 'host a' });
    });
  });

  it('subscribes to the hosts with the first call, once for all, and lets go when told to', () => {
    let subscribed = 0;
    let active = 0;
    const hosts$ = new Observable<Hosts>((subscriber) => {
      subscribed++;
      active++;
      subscriber.next(hostsOf('a'));
      return () => active--;
    });
    const call$ = balance(hosts$, inTurn());
    expect(subscribed).toBe(0);
    for (let i = 0; i < 3; i++) collect(call$((host) => of(host)));
    expect([subscribed, active]).toEqual([1, 1]);
    const inFlight = collect(call$(() => NEVER));
    call$.release();
    expect([subscribed, active]).toEqual([1, 0]);
    expect(inFlight).toEqual([]);
    expect(collect(call$((host) => of(host)))).toEqual(['host a', 'complete']);
    expect([subscribed, active]).toEqual([2, 1]);
    call$.release();
    call$.release();
    expect(active).toBe(0);
  });

  it('fails a call that waits for a host when it is told to let go', () => {
    const call$ = balance(of(hostsOf()), inTurn());
    const waiting = collect(call$(() => of('never')).pipe(codeOfError()));
    call$.release();
    expect(waiting).toEqual(['no-host', 'complete']);
  });

  it("fails waiting calls with the hosts' error, and connects anew with the next", () => {
    const hosts$ = new Subject<Hosts>();
    let attempts = 0;
    const call$ = balance(
      defer(() => (attempts++, hosts$.observed ? NEVER : attempts === 1 ? hosts$ : of(hostsOf('a')))),
      inTurn(),
    );
    const waiting = collect(call$((host) => of(host)));
    hosts$.error('denied');
    expect(waiting).toEqual(['denied']);
    expect(collect(call$((host) => of(host)))).toEqual(['host a', 'complete']);
    expect(attempts).toBe(2);
  });

  it('goes elsewhere when a call is made again, through all hosts before it comes back to one', () => {
    const tried: string[] = [];
    const call$ = balance(of(hostsOf('a', 'b', 'c')), inTurn(), { outlierDetection: false });
    const failing$ = call$((_, key) => {
      tried.push(key);
      return throwError(() => `${key} is down`);
    });
    expect(collect(failing$.pipe(retry(6)))).toEqual(['a is down']);
    expect(tried.slice(0, 3)).toEqual(['a', 'b', 'c']);
    expect(new Set(tried.slice(3, 6)).size).toBe(3);
  });

  it('never goes to the host that just failed while another is there, with any selector, under churn', () => {
    const selectors = [
      () => inTurn(),
      (seed: number) => leastLoaded<string>({ random: seededRandom(seed) }),
      () => sticky<string>({ choose: inTurn() }),
      (seed: number) => weighted<string>((host) => (host === 'host a' ? 50 : 1), { random: seededRandom(seed) }),
    ];
    const step = fc.record({
      keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
      calls: fc.nat(4),
    });
    fc.assert(
      fc.property(fc.constantFrom(...selectors), fc.nat(), fc.array(step), (select, seed, steps) => {
        const hosts$ = new BehaviorSubject<Hosts>(hostsOf());
        const call$ = balance(hosts$, select(seed), { outlierDetection: { failures: 2 } });
        let last: string | undefined;
        const failing$ = call$((_, key) => {
          if (hosts$.value.size > 1) expect(key).not.toBe(last);
          expect(hosts$.value.has(key)).toBe(true);
          last = key;
          return throwError(() => 'down');
        });
        for (const { keys, calls } of steps) {
          hosts$.next(hostsOf(...keys));
          for (let i = 0; i < calls; i++) expect(collect(failing$)).toEqual(['down']);
        }
        call$.release();
      }),
    );
  });

  it('goes elsewhere after a call was given up without an answer, but does not hold it against the host', () => {
    run((scheduler, { expectObservable }) => {
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, outlierDetection: { failures: 1 } });
      const picky$ = call$((host, key) => (key === 'a' ? NEVER : of(host)));
      const inAll$ = picky$.pipe((source) =>
        concat(source.pipe(takeFor(2, scheduler)), source, call$.states$.pipe(statuses(), take(1))),
      );
      expectObservable(inAll$).toBe('--(hs|)', { h: 'host b', s: 'a healthy, b healthy' });
    });
  });

  it('tells the selector of each call: once when it starts and once, with its latency, when it ends', () => {
    const log: unknown[] = [];
    const telling = map((hosts: Hosts): Selector<string> => ({
      hosts,
      pick: () => 'host a',
      pickEntry: () => ['a', 'host a'],
      started: (key) => {
        log.push(key);
        return (outcome: CallOutcome) => log.push(`${outcome.result} ${outcome.latencyMs}`);
      },
    }));
    run((scheduler, { cold, expectObservable }) => {
      const options = { scheduler, isFailure: (error: unknown) => error !== 'not found' };
      const call$ = balance(of(hostsOf('a')), telling, options);
      const oneAfterTheOther$ = concat(
        call$(() => cold('---a---b|')),
        call$(() => cold('----|')),
        call$(() => cold('--#')).pipe(onErrorResumeNextWith()),
        call$(() => cold('---#', {}, 'not found')).pipe(onErrorResumeNextWith()),
        call$(() => cold('-a--a')).pipe(take(1)),
        call$(() => cold('----a')).pipe(takeFor(1, scheduler)),
      );
      expectObservable(oneAfterTheOther$).toBe('---a---b 10ms a|');
    });
    expect(log).toEqual(
      ['answered 3', 'answered 4', 'failed 2', 'answered 3', 'answered 1', 'abandoned 1'].flatMap((end) => ['a', end]),
    );
  });

  it('counts a call in flight exactly while it lives', () => {
    const call$ = balance(of(hostsOf('a', 'b')), leastLoaded<string>());
    const long$ = call$((_, key) => concat(of(key), NEVER));
    const held = new Map<string, number>();
    const holding = Array.from({ length: 9 }, () => long$.subscribe((key) => held.set(key, (held.get(key) ?? 0) + 1)));
    expect([...held.values()].sort()).toEqual([4, 5]);
    holding.forEach((subscription) => subscription.unsubscribe());
    const alone: string[] = [];
    const first = long$.subscribe((key) => alone.push(key));
    expect(collect(long$.pipe(take(1)))).toEqual([alone[0] === 'a' ? 'b' : 'a', 'complete']);
    first.unsubscribe();
  });

  it('leaves a failing host out for a growing while, and shows it', () => {
    run((scheduler, { expectObservable }) => {
      const outlierDetection = { failures: 2, baseMs: 10 };
      const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { scheduler, outlierDetection });
      const states$ = call$.states$.pipe(statuses());
      const attempt$ = call$((_, key) => (key === 'a' ? throwError(() => 'down') : of(key)));
      const everyMs$ = timer(1, 1, scheduler).pipe(
        mergeMap(() => attempt$.pipe(onErrorResumeNextWith())),
        ignoreElements(),
      );
      expectObservable(everyMs$, '45ms !').toBe('');
      // a fails at 1 and 3 ms, is out for 10 ms, fails again at once, and is out for 20 ms.
      expectObservable(states$, '30ms !').toBe('h--e 9ms (re)', {
        h: 'a healthy, b healthy',
        e: 'a ejected, b healthy',
        r: 'a probation, b healthy',
      });
    });
  });

  it('ejects only for failures in a row', () => {
    const call$ = balance(of(hostsOf('a', 'b')), inTurn(), { outlierDetection: { failures: 2 } });
    const answers = ['ok', 'down', 'ok', 'ok', 'ok', 'down', 'ok', 'ok'];
    for (const answer of answers) collect(call$(() => (answer === 'ok' ? of(answer) : throwError(() => answer))));
    expect(collect(call$.states$.pipe(statuses()))).toEqual(['a healthy, b healthy']);
  });

  it('makes a call again elsewhere when its host leaves, if asked to', () => {
    run((scheduler, { cold, hot, expectObservable, expectSubscriptions }) => {
      const hosts$ = hot('-x--y--z-', { x: hostsOf('a', 'b'), y: hostsOf('b'), z: hostsOf('b', 'c') });
      const [slow, quick] = [cold('------s|'), cold('--q|')];
      const call$ = balance(hosts$, inTurn(), { scheduler });
      const project$ = (_: string, key: string): Observable<string> => (key === 'a' ? slow : quick);
      expectObservable(call$(project$, { restartWhenGone: true })).toBe('------q|');
      expectSubscriptions(slow.subscriptions).toBe('-^--!');
      const staying$ = balance(hosts$, inTurn(), { scheduler })(() => cold('----s|'));
      expectObservable(staying$).toBe('-----s|');
    });
  });

  it('lets a call wait when its host leaves and there is no other', () => {
    run((scheduler, { cold, hot, expectObservable }) => {
      const hosts$ = hot('-x--n---x', { x: hostsOf('a'), n: hostsOf() });
      const calls: Observable<string>[] = [cold('-----s|'), cold('--r|')];
      const call$ = balance(hosts$, inTurn(), { scheduler });
      expectObservable(call$(() => calls.shift() ?? NEVER, { restartWhenGone: true })).toBe('----------r|');
    });
  });

  it('does not take for leaving that the selector still gave a host that had left', () => {
    run((scheduler, { cold, hot, expectObservable }) => {
      const hosts$ = hot('x--n-', { x: hostsOf('a'), n: hostsOf() });
      const call$ = balance(hosts$, (source) => source.pipe(delay(3, scheduler), inTurn()), { scheduler });
      const answers: Observable<string>[] = [cold('-s|')];
      const late$ = timer(4, scheduler).pipe(
        mergeMap(() => call$(() => answers.shift() ?? NEVER, { restartWhenGone: true })),
      );
      expectObservable(call$.states$.pipe(take(1), ignoreElements())).toBe('---|');
      expectObservable(late$).toBe('-----s|');
    });
  });

  it('passes affinity on to the selector', () => {
    const call$ = balance(of(hostsOf('a', 'b')), sticky<string>({ choose: inTurn() }));
    const hostFor = (affinity: string) => collect(call$((host) => of(host), { affinity }))[0];
    expect(['ann', 'bob', 'ann', 'bob'].map(hostFor)).toEqual(['host a', 'host b', 'host a', 'host b']);
  });

  it('turns an exception of the projection into an error of the call', () => {
    const call$ = balance(of(hostsOf('a')), inTurn());
    const thrown = collect(
      call$(() => {
        throw 'bug';
      }),
    );
    expect(thrown).toEqual(['bug']);
  });

  it('refuses a wait that is no time', () => {
    expect(() => balance(NEVER, inTurn(), { waitMs: NaN })).toThrow(RxEtcdError);
    expect(() => balance(NEVER, inTurn())(() => NEVER, { waitMs: -1 })).toThrow(RxEtcdError);
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

function codeOfError<R>() {
  return (source: Observable<R>): Observable<unknown> =>
    new Observable((subscriber) =>
      source.subscribe({
        next: (value) => subscriber.next(value),
        error: (error: RxEtcdError) => {
          subscriber.next(error.code);
          subscriber.complete();
        },
        complete: () => subscriber.complete(),
      }),
    );
}

function takeFor<R>(ms: number, scheduler: TestScheduler) {
  return (source: Observable<R>): Observable<R> =>
    new Observable((subscriber) => {
      subscriber.add(source.subscribe({ next: (value) => subscriber.next(value) }));
      subscriber.add(timer(ms, scheduler).subscribe(() => subscriber.complete()));
    });
}

function statuses() {
  return map((states: ReadonlyMap<string, { readonly status: string }>) =>
    [...states].map(([key, { status }]) => `${key} ${status}`).join(', '),
  );
}
