import { it } from 'vitest';
import { snapshots } from '../../src/steadiness/snapshots.ts';
import { live, marbles, pending, snapshot, stale } from '../support/marbles.ts';

it('snapshots gives each snapshot of the states once, and nothing while nothing is known', () => {
  marbles(({ cold, expectObservable }) => {
    const [a, b] = [snapshot('a'), snapshot('b', 2)];
    const source = cold('     pqasnb-|', {
      p: pending(),
      q: pending(1),
      a: live(a),
      s: stale(a),
      n: live(a),
      b: live(b),
    });
    expectObservable(source.pipe(snapshots())).toBe('--a--b-|', { a, b });
  });
});
