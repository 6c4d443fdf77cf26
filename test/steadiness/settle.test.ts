import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { settle } from '../../src/steadiness/settle.ts';
import { live, marbles, pending, plain, shown, snapshot, stale } from '../support/marbles.ts';

const values = Object.fromEntries([...'abcdefghijklmnop'].map((key) => [key, snapshot(key)]));

describe('settle', () => {
  it('passes the first at once and makes one snapshot of a burst', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-----bcd---------e-----', values);
      const expected = '      a----------d---------e--';
      expectObservable(source.pipe(settle(3), map(shown))).toBe(expected);
    });
  });

  it('lets no change wait longer than the ceiling', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--bcdefghijklmnop------', values);
      const expected = '      a-----------k-------p---';
      expectObservable(source.pipe(settle(3, { maxDelayMs: 9 }), map(shown))).toBe(expected);
    });
  });

  it('has a ceiling of ten times ms when not told', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-bcdefghijklmnop-bcdefghi', values);
      const expected = '      a---------------------f----i';
      expectObservable(source.pipe(settle(2), map(shown))).toBe(expected);
    });
  });

  it('tells of lost and regained contact at once, with the latest snapshot', () => {
    marbles(({ cold, expectObservable }) => {
      const b = snapshot('b');
      const source = cold('   p-q-a--b-s-t--l----------', {
        p: pending(),
        q: pending(1),
        a: live('a'),
        b: live(b),
        s: stale(b),
        t: stale(b, 0, 2),
        l: live(b),
      });
      const expected = '      p-p-a----s-s--l----------';
      expectObservable(source.pipe(settle(5), map(shown))).toBe(expected, {
        p: 'pending',
        a: 'live a',
        s: 'stale b',
        l: 'live b',
      });
    });
  });

  it('carries the reason of a resync over, the graver of two', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--bcd-----e', {
        a: live('a'),
        b: live('b', 'history-replaced'),
        c: live('c', 'compacted'),
        d: live('d'),
        e: live('e'),
      });
      const expected = '      a-------d-----e';
      const states = { a: 'live a', d: 'live d (history-replaced)', e: 'live e' };
      expectObservable(source.pipe(settle(3), map(shown))).toBe(expected, states);
    });
  });

  it('emits what waits before it completes, and not before an error', () => {
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('a-b-|', values).pipe(settle(5), map(shown))).toBe('a---(b|)');
      expectObservable(cold('a-b-#', values).pipe(settle(5), map(shown))).toBe('a---#');
    });
  });

  it('takes any Map, and leaves no timer behind', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--b-------', { a: plain('a'), b: plain('b') });
      expectObservable(source.pipe(settle(3), map(shown))).toBe('a-----b----');
      expectObservable(source.pipe(settle(3), map(shown)), '^---!').toBe('a----');
    });
  });

  it('refuses a ceiling below ms', () => {
    expect(() => settle(5, { maxDelayMs: 4 })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
