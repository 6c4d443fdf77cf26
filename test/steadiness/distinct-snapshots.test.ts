import { isDeepStrictEqual } from 'node:util';
import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { distinctSnapshots } from '../../src/steadiness/distinct-snapshots.ts';
import { live, marbles, pending, plain, shown, snapshot, stale } from '../support/marbles.ts';

describe('distinctSnapshots', () => {
  it('leaves out a snapshot with the same keys and values', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   abcde-|', {
        a: snapshot('a=1', 1),
        b: snapshot('a=1', 2),
        c: snapshot('a=2', 3),
        d: snapshot('a=2 b=1', 4),
        e: snapshot('b=1 a=2', 5),
      });
      const expected = '      a-cd--|';
      expectObservable(source.pipe(distinctSnapshots(), map(shown))).toBe(expected, {
        a: 'a=1',
        c: 'a=2',
        d: 'a=2 b=1',
      });
    });
  });

  it('tells a key that was exchanged for another', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('ab', { a: plain('a=1'), b: plain('b=1') });
      expectObservable(source.pipe(distinctSnapshots(), map(shown))).toBe('ab', { a: 'a=1', b: 'b=1' });
    });
  });

  it('takes any Map, and tells undefined from absent', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('abc', {
        a: new Map([['a', undefined]]),
        b: new Map([['b', undefined]]),
        c: new Map([['b', undefined]]),
      });
      expectObservable(
        source.pipe(
          distinctSnapshots(),
          map((hosts) => hosts.has('b')),
        ),
      ).toBe('ab', { a: false, b: true });
    });
  });

  it('compares values as it is told', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   abc', {
        a: new Map([['a', { port: 1 }]]),
        b: new Map([['a', { port: 1 }]]),
        c: new Map([['a', { port: 2 }]]),
      });
      const ports = source.pipe(
        distinctSnapshots({ equals: isDeepStrictEqual }),
        map((hosts) => hosts.get('a')?.port),
      );
      expectObservable(ports).toBe('a-c', { a: 1, c: 2 });
    });
  });

  it('keeps every change of status and every resync, and leaves out further attempts', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   pqabsthrl', {
        p: pending(),
        q: pending(1),
        a: live('a'),
        b: live('a'),
        s: stale('a'),
        t: stale('a', 0, 2),
        h: live('a', 'history-replaced'),
        r: live('a', 'history-replaced'),
        l: live('a'),
      });
      const expected = '      p-a-s-hr-';
      const states = {
        p: 'pending',
        a: 'live a',
        s: 'stale a',
        h: 'live a (history-replaced)',
        r: 'live a (history-replaced)',
      };
      expectObservable(source.pipe(distinctSnapshots(), map(shown))).toBe(expected, states);
    });
  });

  it('keeps a state with other rejected keys', () => {
    const rejected = (...keys: string[]) => new Map(keys.map((key) => [key, new RxEtcdError('decode-failed', key)]));
    marbles(({ cold, expectObservable }) => {
      const state = (...keys: string[]) => ({
        status: 'live' as const,
        snapshot: snapshot('a'),
        rejected: rejected(...keys),
      });
      const source = cold('abcd', { a: state(), b: state('x'), c: state('x'), d: state('y') });
      const keys = source.pipe(
        distinctSnapshots(),
        map(({ rejected }) => [...rejected.keys()].join()),
      );
      expectObservable(keys).toBe('ab-d', { a: '', b: 'x', d: 'y' });
    });
    expect.assertions(1);
  });
});
