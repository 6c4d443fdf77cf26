import * as fc from 'fast-check';
import { Subject, VirtualTimeScheduler, map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Snapshot } from '../../src/discovery/snapshot.ts';
import { holdRemovals } from '../../src/steadiness/hold-removals.ts';
import { live, marbles, pending, plain, shown, snapshot, stale } from '../support/marbles.ts';
import { VirtualTime } from '../support/virtual-time.ts';

describe('holdRemovals', () => {
  it('shows a removal only after it has lasted, and none that came back before', () => {
    marbles(({ cold, expectObservable }) => {
      const values = { a: snapshot('a b'), b: snapshot('a'), c: snapshot('a b') };
      const source = cold('   a-b---c-b----------|', values);
      const expected = '      a-b---c-b-----d----|';
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, {
        a: 'a b',
        b: 'a b',
        c: 'a b',
        d: 'a',
      });
    });
  });

  it('counts for each key by itself', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-b--c---------', { a: snapshot('a b c'), b: snapshot('b c'), c: snapshot('c') });
      const expected = '      a-a--a--b--c---';
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, { a: 'a b c', b: 'b c', c: 'c' });
    });
  });

  it('passes additions and new values at once, and keeps the last value of what was removed', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-b-c--------', { a: snapshot('a=1'), b: snapshot('a=2'), c: snapshot('b') });
      const expected = '      a-b-c-----d--';
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, {
        a: 'a=1',
        b: 'a=2',
        c: 'a=2 b',
        d: 'b',
      });
    });
  });

  it('removes nothing while the source is stale, and does not count that time', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   p-a-b-s---------------l--------', {
        p: pending(),
        a: live('a b'),
        b: live('a'),
        s: stale('a'),
        l: live('a'),
      });
      const expected = '      p-a-b-s---------------l---d----';
      const values = { p: 'pending', a: 'live a b', b: 'live a b', s: 'stale a b', l: 'live a b', d: 'live a' };
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, values);
    });
  });

  it('counts from the start what vanishes when contact is back', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('   a-s--------l-------', {
        a: live('a b'),
        s: stale('a b'),
        l: live('', 'history-replaced'),
      });
      const expected = '      a-s--------l-----e-';
      const values = { a: 'live a b', s: 'stale a b', l: 'live a b (history-replaced)', e: 'live' };
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, values);
    });
  });

  it('takes any Map, and leaves it as it was', () => {
    marbles(({ cold, expectObservable, flush }) => {
      const later = plain('b');
      const source = cold('   a-b-------|', { a: plain('a'), b: later });
      const expected = '      a-b-----c-|';
      expectObservable(source.pipe(holdRemovals(6), map(shown))).toBe(expected, { a: 'a', b: 'a b', c: 'b' });
      flush();
      expect([...later.keys()]).toEqual(['b']);
    });
  });

  it("keeps the source's revision and gives a snapshot for a snapshot", () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('a-b', { a: snapshot('a', 5), b: snapshot('', 6) });
      const revisions = source.pipe(
        holdRemovals(6),
        map((hosts) => hosts instanceof Snapshot && hosts.revision),
      );
      expectObservable(revisions).toBe('a-b-----b', { a: 5, b: 6 });
    });
  });

  it('passes errors and completion at once, and leaves no timer behind', () => {
    marbles(({ cold, expectObservable }) => {
      const values = { a: snapshot('a'), b: snapshot('') };
      expectObservable(cold('a-b-#', values).pipe(holdRemovals(6), map(shown))).toBe('a-a-#', { a: 'a' });
      expectObservable(cold('a-b-|', values).pipe(holdRemovals(6), map(shown))).toBe('a-a-|', { a: 'a' });
    });
    const scheduler = new VirtualTimeScheduler();
    const source = new Subject<Snapshot<string>>();
    const subscription = source.pipe(holdRemovals(6, { scheduler })).subscribe();
    source.next(snapshot('a'));
    source.next(snapshot(''));
    expect(scheduler.actions).toHaveLength(1);
    subscription.unsubscribe();
    scheduler.flush();
    expect(scheduler.now()).toBe(0);
  });

  it('shows, at any moment, what is there and what vanished less than ms ago', () => {
    const step = fc.record({
      afterMs: fc.integer({ min: 1, max: 5 }),
      keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd')),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const scheduler = new VirtualTime();
        const source = new Subject<Snapshot<string>>();
        let seen: string[] = [];
        source.pipe(holdRemovals(6, { scheduler })).subscribe((hosts) => (seen = [...hosts.keys()]));
        const lastSeenMs = new Map<string, number>();
        let present: readonly string[] = [];
        let nowMs = 0;
        for (const { afterMs, keys } of [...steps, { afterMs: 20, keys: [] }]) {
          for (const until = nowMs + afterMs; nowMs < until;) {
            nowMs += 1;
            scheduler.runTo(nowMs);
            for (const key of present) lastSeenMs.set(key, nowMs);
            const expected = [...lastSeenMs].filter(([, atMs]) => nowMs - atMs < 6).map(([key]) => key);
            expect(seen).toEqual(expected.sort());
          }
          present = keys;
          source.next(snapshot(keys.join(' ')));
          for (const key of present) lastSeenMs.set(key, nowMs);
        }
      }),
    );
  });

  it.each([-1, NaN, Infinity, 2 ** 31, '5'])('refuses %s as a duration', (ms) => {
    expect(() => holdRemovals(ms as number)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
