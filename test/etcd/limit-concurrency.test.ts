import { expect, test } from 'vitest';
import { BehaviorSubject, Subject, take, type Subscription } from 'rxjs';
import { limitConcurrency } from '../../src/etcd/limit-concurrency.ts';

function calls(
  count: number,
  limit: number,
): { readonly subjects: Subject<number>[]; readonly subscriptions: Subscription[]; underWay(): number[] } {
  const gate = limitConcurrency(limit);
  const subjects = Array.from({ length: count }, () => new Subject<number>());
  const subscriptions = subjects.map((subject) => gate(() => subject).subscribe({ error: () => undefined }));
  return {
    subjects,
    subscriptions,
    underWay: () => subjects.flatMap((subject, index) => (subject.observed ? [index] : [])),
  };
}

test('so many at once, the next in order when one completes, fails or is given up', () => {
  const { subjects, subscriptions, underWay } = calls(6, 2);
  expect(underWay()).toEqual([0, 1]);
  subjects[1]?.complete();
  expect(underWay()).toEqual([0, 2]);
  subjects[0]?.error(new Error('failed'));
  expect(underWay()).toEqual([2, 3]);
  subscriptions[2]?.unsubscribe();
  expect(underWay()).toEqual([3, 4]);
});

test('one given up while it waits is never begun', () => {
  const { subjects, subscriptions, underWay } = calls(3, 1);
  subscriptions[1]?.unsubscribe();
  subjects[0]?.complete();
  expect(underWay()).toEqual([2]);
  subjects[2]?.complete();
  expect(underWay()).toEqual([]);
});

test('a call that throws when it is made fails, at once or when its turn comes, and takes no place', () => {
  const gate = limitConcurrency(1);
  const mistake = new Error('a mistake');
  const errors: unknown[] = [];
  const throwing = (): void => {
    gate((): Subject<void> => {
      throw mistake;
    }).subscribe({ error: (error: unknown) => errors.push(error) });
  };
  throwing();
  const first = new Subject<void>();
  gate(() => first).subscribe();
  expect(first.observed).toBe(true);
  throwing();
  const last = new Subject<void>();
  gate(() => last).subscribe();
  first.complete();
  expect(errors).toEqual([mistake, mistake]);
  expect(last.observed).toBe(true);
});

test('one given up at its own answer, at once or when its turn came, leaves its place to one other', () => {
  const gate = limitConcurrency(1);
  const first = new Subject<number>();
  gate(() => first).subscribe();
  for (let waiting = 0; waiting < 3; waiting++) {
    gate(() => new BehaviorSubject(1))
      .pipe(take(1))
      .subscribe();
  }
  first.complete();
  gate(() => new BehaviorSubject(1))
    .pipe(take(1))
    .subscribe();
  const [second, third] = [new Subject<void>(), new Subject<void>()];
  gate(() => second).subscribe();
  gate(() => third).subscribe();
  expect([second.observed, third.observed]).toEqual([true, false]);
});
