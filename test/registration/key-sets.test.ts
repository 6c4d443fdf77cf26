import { expect, test } from 'vitest';
import fc from 'fast-check';
import { BehaviorSubject, Subject } from 'rxjs';
import type { Entries } from '../../src/registration/desired.ts';
import { keyOf, world, type World } from './world.ts';

function worldOfSets(source: Subject<Entries<string>>, onConflict: 'replace' | 'wait' = 'replace'): World {
  const here = world({ keys: [], sources: [], sets: { source, toKey: keyOf }, onConflict });
  here.etcd.up();
  here.advance(100);
  return here;
}

function storedSet({ etcd }: World): Record<string, string> {
  return Object.fromEntries([...etcd.store].map(([key, { value }]) => [key, Buffer.from(value).toString()]));
}

test('keys come and go under one lease, each set at once', () => {
  const sets = new BehaviorSubject<Entries<string>>({ a: '1', b: '2' });
  const here = worldOfSets(sets);
  expect(storedSet(here)).toEqual({ a: '1', b: '2' });
  const first = here.states.at(-1);
  sets.next(
    new Map([
      ['b', '2'],
      ['c', '3'],
    ]),
  );
  here.advance(100);
  expect(storedSet(here)).toEqual({ b: '2', c: '3' });
  expect(here.states.at(-1)).toMatchObject({
    status: 'registered',
    key: 'b',
    leaseId: first?.status === 'registered' && first.leaseId,
  });
  expect(here.etcd.store.get('b')?.modRevision).toBe(2);
  expect(here.etcd.leases.size).toBe(1);
});

test('an empty set is withdrawn, and the lease kept', () => {
  const sets = new BehaviorSubject<Entries<string>>({ a: '1' });
  const here = worldOfSets(sets);
  sets.next({});
  here.advance(100);
  expect(here.statuses()).toEqual(['registering', 'registered', 'withdrawn']);
  sets.next({ a: '1' });
  here.advance(100);
  expect(here.states.at(-1)?.status).toBe('registered');
  expect(here.etcd.leases.size).toBe(1);
});

test('a key that joins and is taken: none of the set is there until it is free, and the loss is told', () => {
  const sets = new BehaviorSubject<Entries<string>>({ a: '1' });
  const here = worldOfSets(sets, 'wait');
  here.etcd.put('b', 'foreign', 'other');
  sets.next({ a: '1', b: '2' });
  here.advance(1000);
  expect(storedSet(here)).toEqual({ b: 'foreign' });
  expect(here.statuses()).toEqual(['registering', 'registered', 'lost', 'registering']);
  here.etcd.delete('b');
  here.advance(1000);
  expect(storedSet(here)).toEqual({ a: '1', b: '2' });
});

test('a key that joins under replace is taken over from who had it before', () => {
  const sets = new BehaviorSubject<Entries<string>>({ a: '1' });
  const here = worldOfSets(sets);
  here.etcd.put('b', 'foreign', 'other');
  sets.next({ a: '1', b: '2' });
  here.advance(1000);
  expect(storedSet(here)).toEqual({ a: '1', b: '2' });
});

test('what is no set of keys is an error that names it, and the completion deregisters', () => {
  for (const wrong of [['a'], 'a', null, 7]) {
    const sets = new Subject<Entries<string>>();
    const here = worldOfSets(sets);
    sets.next(wrong as unknown as Entries<string>);
    expect(here.error).toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('entries') as string,
    });
  }
  const sets = new BehaviorSubject<Entries<string>>({ a: '1' });
  const here = worldOfSets(sets);
  sets.complete();
  here.advance(1000);
  expect(here.states.at(-1)).toEqual({ status: 'deregistered', confirmed: true });
  expect(storedSet(here)).toEqual({});
});

test('whatever sets follow one another, over whatever connection: in the end the last one is there, and nothing else', () => {
  const set = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'), { noNullPrototype: true });
  const move = fc.oneof(
    fc.record({ set }),
    fc.record({ ms: fc.nat(8).map((quarters) => quarters / 4) }),
    fc.constantFrom({ fault: 'down' }, { fault: 'expire' }, { fault: 'delete' }),
  );
  fc.assert(
    fc.property(fc.array(move, { maxLength: 30 }), set, (moves, last) => {
      const sets = new BehaviorSubject<Entries<string>>({ a: '1' });
      const here = worldOfSets(sets);
      for (const each of moves) {
        if ('set' in each) sets.next(each.set);
        else if ('ms' in each) here.advance(each.ms);
        else if (each.fault === 'delete') here.etcd.delete('a');
        else if (each.fault === 'expire') for (const id of [...here.etcd.leases.keys()]) here.etcd.expire(id);
        else {
          here.etcd.down();
          here.etcd.up();
        }
      }
      sets.next(last);
      here.advance(120_000);
      expect(storedSet(here)).toEqual(last);
      expect(here.states.at(-1)?.status).toBe(Object.keys(last).length > 0 ? 'registered' : 'withdrawn');
      here.subscription.unsubscribe();
      here.advance(20_000);
      expect([here.etcd.store.size, here.etcd.leases.size, here.etcd.users]).toEqual([0, 0, 0]);
    }),
    { numRuns: 300 },
  );
});
