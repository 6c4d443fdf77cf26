import { Subject, throwError } from 'rxjs';
import { expect, test } from 'vitest';
import { limitConcurrency } from '../../src/etcd/limit-concurrency.ts';

test('thousands that wait, and all fail at once because the channel was closed, each fail as they should', () => {
  const gate = limitConcurrency(1);
  const first$ = new Subject<void>();
  gate(() => first$).subscribe();
  const closed = new Error('the channel is closed');
  const errors: unknown[] = [];
  for (let waiting = 0; waiting < 20_000; waiting++) {
    gate(() => throwError(() => closed)).subscribe({ error: (error: unknown) => errors.push(error) });
  }
  first$.complete();
  expect(errors).toHaveLength(20_000);
  expect(new Set(errors)).toEqual(new Set([closed]));
});
