import { map, of } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { type HostPredicate, where } from '../../src/selection/where.ts';
import { hostsOf, latest } from './support.ts';

const keys = map((hosts: ReadonlyMap<string, string>) => [...hosts.keys()].join(''));
const oneOf =
  (allowed: string): HostPredicate<string> =>
  (_, key) =>
    allowed.includes(key);

describe('where', () => {
  it('leaves in the hosts for which the predicate holds, for each emission', () => {
    run(({ cold, expectObservable }) => {
      const source$ = cold(' -a-b-|', { a: hostsOf('a', 'b', 'c'), b: hostsOf('b', 'd') });
      expectObservable(source$.pipe(where(oneOf('ab')), keys)).toBe('-a-b-|', { a: 'ab', b: 'b' });
      expectObservable(
        source$.pipe(
          where((host) => host === 'host d'),
          keys,
        ),
      ).toBe('-a-b-|', { a: '', b: 'd' });
    });
  });

  it('applies each new predicate to the hosts of the moment, and waits for the first', () => {
    run(({ cold, expectObservable }) => {
      const source$ = cold('    -a---b---|', { a: hostsOf('a', 'b', 'c'), b: hostsOf('b', 'd') });
      const predicates$ = cold('---p---q-|', { p: oneOf('ab'), q: oneOf('d') });
      const expected = '       ---x-y-z-|';
      expectObservable(source$.pipe(where(predicates$), keys)).toBe(expected, { x: 'ab', y: 'b', z: 'd' });
    });
  });

  it('passes errors of the source and of the predicates on', () => {
    run(({ cold, expectObservable }) => {
      expectObservable(cold<ReadonlyMap<string, string>>('-#').pipe(where(oneOf('a')))).toBe('-#');
      expectObservable(of(hostsOf('a')).pipe(where(cold<HostPredicate<string>>('--#')))).toBe('--#');
      expectObservable(
        of(hostsOf('a')).pipe(
          where(() => {
            throw 'bad';
          }),
        ),
      ).toBe('#', {}, 'bad');
    });
  });

  it("hands the source's own map on when all hosts pass", () => {
    const hosts = hostsOf('a', 'b');
    expect(latest(of(hosts).pipe(where(() => true)))).toBe(hosts);
  });

  it('gives an error that says so when an Observable gives something else than predicates', () => {
    const errors: unknown[] = [];
    of(hostsOf('a'))
      .pipe(where(of(3 as unknown as HostPredicate<string>)))
      .subscribe({ error: (error: unknown) => errors.push(error) });
    expect(errors).toMatchObject([{ code: 'invalid-argument' }]);
  });

  it('refuses what is neither a function nor an Observable', () => {
    expect(() => where({} as HostPredicate<string>)).toThrow(RxEtcdError);
  });
});

function run(test: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(test);
}
