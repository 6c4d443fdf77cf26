import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { protectEmpty } from '../../src/steadiness/protect-empty.ts';
import { live, marbles, plain, shown, snapshot, stale } from '../support/marbles.ts';

const values = { a: snapshot('a b c d'), b: snapshot('a b c'), c: snapshot('a'), e: snapshot(''), n: snapshot('n') };
const names = { a: 'a b c d', b: 'a b c', c: 'a', d: 'b c d', e: '', n: 'n' };

describe('protectEmpty', () => {
  it('shows all again for a while when none is left', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--e------------', values);
      const expected = '      a--a-----e------';
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, names);
    });
  });

  it('passes as it is what is only fewer, and what is empty from the start', () => {
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('a-b-c----', values).pipe(protectEmpty(6), map(shown))).toBe('a-b-c----', names);
      expectObservable(cold('e-a------', values).pipe(protectEmpty(6), map(shown))).toBe('e-a------', names);
    });
  });

  it('ends at once when a host is back, and does not bring the others again later', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--e--n---------', values);
      const expected = '      a--a--n---------';
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, names);
    });
  });

  it('shows those too that vanished shortly before the last, each for its time', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-c--e----------', values);
      const expected = '      a-c--a--c--e----';
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, names);
    });
  });

  it('forgets those that vanished long before', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-c--------e---------', values);
      const expected = '      a-c--------c-----e---';
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, names);
    });
  });

  it('guards a floor: fewer than that share brings the others back', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-b-c----------', values);
      // At 8 d is forgotten, at 10 b and c: then 1 of 1 is enough.
      const expected = '      a-b-a---f-c----';
      expectObservable(source.pipe(protectEmpty(6, { floor: 0.5 }), map(shown))).toBe(expected, {
        ...names,
        f: 'a b c',
      });
    });
  });

  it('takes a share that is just the floor for enough', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-b-----', { a: snapshot('a b c d'), b: snapshot('a b') });
      expectObservable(source.pipe(protectEmpty(6, { floor: 0.5 }), map(shown))).toBe('a-b-----', {
        a: 'a b c d',
        b: 'a b',
      });
    });
  });

  it('lets go all at once when what is forgotten makes the rest enough', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-b-c----', { a: snapshot('a b c d e'), b: snapshot('a b'), c: snapshot('a b') });
      const expected = '      a-x-x---b';
      expectObservable(source.pipe(protectEmpty(6, { floor: 0.5 }), map(shown))).toBe(expected, {
        a: 'a b c d e',
        x: 'a b c d e',
        b: 'a b',
      });
    });
  });

  it('ends by itself although the source is stale', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--e--s---------', { a: live('a'), e: live(''), s: stale('') });
      const expected = '      a--b--s--f------';
      const states = { a: 'live a', b: 'live a', s: 'stale a', f: 'stale' };
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, states);
    });
  });

  it('tells of a resync once', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--e----------', { a: live('a'), e: live('', 'history-replaced') });
      const expected = '      a--b-----c----';
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe(expected, {
        a: 'live a',
        b: 'live a (history-replaced)',
        c: 'live',
      });
    });
  });

  it('takes any Map', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a--e----------|', { a: plain('a'), e: plain('') });
      expectObservable(source.pipe(protectEmpty(6), map(shown))).toBe('a--a-----e----|', { a: 'a', e: '' });
    });
  });

  it.each([-0.1, 1, NaN, '0.5'])('refuses %s as a floor', (floor) => {
    expect(() => protectEmpty(6, { floor: floor as number })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});
