import * as fc from 'fast-check';
import { BehaviorSubject, concat, NEVER, Observable, of, Subject, throwError } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { perInstance } from '../../src/selection/per-instance.ts';
import { hostsOf } from './support.ts';

type Hosts = ReadonlyMap<string, string>;

describe('perInstance', () => {
  it('runs an inner Observable for each instance while it is there', () => {
    run(({ cold, hot, expectObservable, expectSubscriptions }) => {
      const source = hot('-x--y--z', { x: hostsOf('a', 'b'), y: hostsOf('b', 'c'), z: hostsOf('a') });
      const a$ = cold('        p-p-p-p');
      const aSubscriptions = ['-^--!---', '-------^--!'];
      const b$ = cold('        -q--q-');
      const bSubscriptions = ' -^-----!';
      const c$ = cold('           --r');
      const cSubscriptions = ' ----^--!';
      const expected = '       -pqp-qrp-p';
      const inner: Record<string, Observable<string>> = { a: a$, b: b$, c: c$ };
      expectObservable(source.pipe(perInstance((_, key) => inner[key] as Observable<string>)), '----------!').toBe(
        expected,
      );
      expectSubscriptions(a$.subscriptions).toBe(aSubscriptions);
      expectSubscriptions(b$.subscriptions).toBe(bSubscriptions);
      expectSubscriptions(c$.subscriptions).toBe(cSubscriptions);
    });
  });

  it('restarts nothing when only a value changed, and gives the new one by values$', () => {
    const hosts$ = new BehaviorSubject<Hosts>(new Map([['a', 'one']]));
    const log: string[] = [];
    hosts$.pipe(perInstance((host, key, values$) => logging$(log, `${key} ${host}`, values$))).subscribe();
    hosts$.next(new Map([['a', 'two']]));
    hosts$.next(new Map([['a', 'two']]));
    hosts$.next(new Map());
    expect(log).toEqual(['+a one', 'one', 'two', '-a one']);
  });

  it('restarts when told that the value means another instance', () => {
    const hosts$ = new BehaviorSubject<Hosts>(new Map([['a', 'one']]));
    const log: string[] = [];
    const restartWhen = (previous: string, current: string): boolean => previous.length !== current.length;
    hosts$.pipe(perInstance((host, _, values$) => logging$(log, host, values$), { restartWhen })).subscribe();
    hosts$.next(new Map([['a', 'two']]));
    hosts$.next(new Map([['a', 'three']]));
    expect(log).toEqual(['+one', 'one', 'two', '-one', '+three', 'three']);
  });

  it('completes when the source and all inner ones have, or have left', () => {
    run(({ cold, expectObservable }) => {
      const inner: Record<string, string> = { a: '-p|', b: '------q|' };
      const project$ = (_: string, key: string) => cold(inner[key] as string);
      expectObservable(cold('x---|', { x: hostsOf('a') }).pipe(perInstance(project$))).toBe('-p--|');
      expectObservable(cold('x-|', { x: hostsOf('a', 'b') }).pipe(perInstance(project$))).toBe('-p----q|');
      expectObservable(cold('xy|', { x: hostsOf('b'), y: hostsOf() }).pipe(perInstance(project$))).toBe('--|');
      expectObservable(cold<Hosts>('--|').pipe(perInstance(project$))).toBe('--|');
    });
  });

  it('does not run a completed one again before its key has left and come back', () => {
    const hosts$ = new BehaviorSubject(hostsOf('a'));
    const started: string[] = [];
    hosts$.pipe(perInstance((_, key) => (started.push(key), of(1)))).subscribe();
    hosts$.next(new Map([['a', 'other']]));
    hosts$.next(hostsOf('a', 'b'));
    expect(started).toEqual(['a', 'b']);
    hosts$.next(hostsOf('b'));
    hosts$.next(hostsOf('a', 'b'));
    expect(started).toEqual(['a', 'b', 'a']);
  });

  it('ends all with the error of one, of the source, or of the projection', () => {
    const log: string[] = [];
    const subject = new Subject<Hosts>();
    const errors: unknown[] = [];
    const failing$ = (key: string) => (key === 'c' ? throwError(() => 'c fails') : logging$(log, key, NEVER));
    subject.pipe(perInstance((_, key) => failing$(key))).subscribe({ error: (error) => errors.push(error) });
    subject.next(hostsOf('a', 'b'));
    subject.next(hostsOf('a', 'b', 'c', 'd'));
    expect(log).toEqual(['+a', '+b', '-a', '-b']);
    expect(subject.observed).toBe(false);
    const bug$ = (): Observable<never> => {
      throw 'bug';
    };
    for (const source$ of [
      of(hostsOf('a')).pipe(perInstance(bug$)),
      throwError(() => 'source').pipe(perInstance(bug$)),
    ]) {
      source$.subscribe({ error: (error) => errors.push(error) });
    }
    expect(errors).toEqual(['c fails', 'bug', 'source']);
  });

  it('unsubscribes from all when unsubscribed', () => {
    const log: string[] = [];
    const hosts$ = new BehaviorSubject(hostsOf('a', 'b'));
    hosts$
      .pipe(perInstance((_, key) => logging$(log, key, NEVER)))
      .subscribe()
      .unsubscribe();
    expect(log).toEqual(['+a', '+b', '-a', '-b']);
    expect(hosts$.observed).toBe(false);
  });

  it('runs exactly who is there after any sequence of changes, also of ones made in answer to a value', () => {
    const memberships = fc.array(fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e')), {
      minLength: 1,
      maxLength: 10,
    });
    fc.assert(
      fc.property(memberships, fc.nat(3), (steps, inAnswer) => {
        const hosts$ = new BehaviorSubject<Hosts>(hostsOf());
        const running = new Set<string>();
        const queue = [...steps];
        let answers = inAnswer;
        const next = (): void => {
          const keys = queue.shift();
          if (keys !== undefined) hosts$.next(hostsOf(...keys));
        };
        const project$ = (_: string, key: string): Observable<string> =>
          new Observable((subscriber) => {
            expect(running.has(key)).toBe(false);
            running.add(key);
            subscriber.add(() => running.delete(key));
            subscriber.next(key);
          });
        const subscription = hosts$.pipe(perInstance(project$)).subscribe(() => {
          if (answers-- > 0) next();
        });
        while (queue.length > 0) {
          next();
          expect([...running].sort()).toEqual([...hosts$.value.keys()].sort());
        }
        subscription.unsubscribe();
        expect(running.size).toBe(0);
      }),
    );
  });
});

function run(test: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(test);
}

function logging$(log: string[], name: string, values$: Observable<string>): Observable<string> {
  return new Observable<string>((subscriber) => {
    log.push(`+${name}`);
    subscriber.add(() => log.push(`-${name}`));
    subscriber.add(concat(values$, NEVER).subscribe((value) => log.push(value)));
  });
}
