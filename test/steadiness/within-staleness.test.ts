import { NEVER, map, of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { withinStaleness } from '../../src/steadiness/within-staleness.ts';
import { cause, live, marbles, pending, plain, shown, stale } from '../support/marbles.ts';

const names = { p: 'pending', a: 'live a', s: 'stale a', f: 'stale f', g: 'stale g', b: 'live b' };

describe('withinStaleness', () => {
  it('errors when contact is lost for longer than the bound, with the last fault as the cause', () => {
    marbles(({ cold, expectObservable }) => {
      const error = new RxEtcdError('stale', 'contact with etcd has been lost for longer than 4 ms: connection lost', {
        cause,
      });
      const source = cold('   a--s-t-------', { a: live('a'), s: stale('a', 3), t: stale('a', 3, 2) });
      const expected = '      a--s-s-#     ';
      expectObservable(source.pipe(withinStaleness(4), map(shown))).toBe(expected, names, error);
    });
  });

  it('errors when etcd does not answer within the bound', () => {
    marbles(({ cold, expectObservable }) => {
      const error = new RxEtcdError('stale', 'etcd has not answered for longer than 4 ms');
      expectObservable(cold('p------a', { p: pending(), a: live('a') }).pipe(withinStaleness(4), map(shown))).toBe(
        'p---#',
        names,
        error,
      );
      expectObservable(NEVER.pipe(withinStaleness<string>(4), map(shown))).toBe('----#', names, error);
    });
  });

  it('counts from when the snapshot was true, also when that was before it began', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('p-s------', { p: pending(), s: stale('a', -3) });
      expectObservable(source.pipe(withinStaleness(4), map(shown))).toBe(
        'p-(s#)',
        names,
        expect.objectContaining({ code: 'stale' }),
      );
    });
  });

  it('lets pass what is live, however long, and what is back in time', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--s--a--------u--a--|', { a: live('a'), s: stale('a', 3), u: stale('a', 15) });
      const expected = '      a--s--a--------s--a--|';
      expectObservable(source.pipe(withinStaleness(4), map(shown))).toBe(expected, names);
    });
  });

  it('shows a fallback as stale until etcd is back, and leaves it then', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const fallback = cold('        f--g--f', { f: plain('f'), g: plain('g') });
      const source = cold('   a--s-------t-b------', {
        a: live('a'),
        s: stale('a', 3),
        t: stale('a', 3, 2),
        b: live('b'),
      });
      const expected = '      a--s---f--gg-b------';
      expectObservable(source.pipe(withinStaleness(4, { fallback }), map(shown))).toBe(expected, names);
      expectSubscriptions(fallback.subscriptions).toBe('-------^-----!');
    });
  });

  it('keeps what was shown until the fallback has given something, and after it has completed', () => {
    marbles(({ cold, expectObservable }) => {
      const fallback = cold('        --f|', { f: plain('f') });
      const source = cold('   a--s----t---t-', { a: live('a'), s: stale('a', 3), t: stale('a', 3, 2) });
      const expected = '      a--s----sf--f-';
      expectObservable(source.pipe(withinStaleness(4, { fallback }), map(shown))).toBe(expected, names);
    });
  });

  it('falls back again the next time', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--s------b-u--------', {
        a: live('a'),
        s: stale('a', 3),
        b: live('b'),
        u: stale('b', 12),
      });
      const expected = '      a--s---f--b-c---f----';
      const fallback = of(plain('f'));
      expectObservable(source.pipe(withinStaleness(4, { fallback }), map(shown))).toBe(expected, {
        ...names,
        c: 'stale b',
      });
    });
  });

  it('shows a fallback when etcd never answered, since the beginning', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('p-q----', { p: pending(), q: pending(1) });
      const since = source.pipe(
        withinStaleness(4, { fallback: of(plain('f')) }),
        map((state) =>
          state.status === 'stale' ? [shown(state), state.sinceMs, state.attempt, state.cause] : state.status,
        ),
      );
      expectObservable(since).toBe('p-p-f--', { p: 'pending', f: ['stale f', 0, 1, cause] });
    });
  });

  it("passes the source's and the fallback's errors, and leaves no timer behind", () => {
    marbles(({ cold, expectObservable }) => {
      const states = { a: live('a'), s: stale('a', 1) };
      expectObservable(cold('as-#', states).pipe(withinStaleness(4), map(shown))).toBe('as-#', names);
      expectObservable(
        cold('as------', states).pipe(withinStaleness(4, { fallback: cold<never>('-#') }), map(shown)),
      ).toBe('as----#', names);
      expectObservable(cold('as------', states).pipe(withinStaleness(4), map(shown)), '^--!').toBe('as------', names);
    });
  });

  it('refuses what is no duration', () => {
    expect(() => withinStaleness(-1)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
