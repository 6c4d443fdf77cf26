import { expect, test } from 'vitest';
import { Subject, type Subscription } from 'rxjs';
import { callGate } from '../../src/etcd/call-gate.ts';

function calls(
  count: number,
  limit: number,
): { readonly subjects: Subject<number>[]; readonly subscriptions: Subscription[]; underWay(): number[] } {
  const gate = callGate(limit);
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
