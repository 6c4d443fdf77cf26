import { expect, test } from 'vitest';
import fc from 'fast-check';
import { BehaviorSubject, map, of, throwError } from 'rxjs';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { GrantedLease, TxnAnswer } from '../../src/etcd/member.ts';
import { world } from './world.ts';

const lies: readonly (readonly [what: string, lie: (answer: TxnAnswer) => TxnAnswer])[] = [
  ['nothing at all', () => ({ succeeded: false, revision: 0, results: [] })],
  ['a success without results', (answer) => ({ ...answer, succeeded: true, results: [] })],
  ['more results than were asked for', (answer) => ({ ...answer, results: [...answer.results, [], []] })],
  ['no revision', (answer) => ({ ...answer, revision: Number.NaN })],
  ['a revision below 0', (answer) => ({ ...answer, revision: -1 })],
  ['a failed comparison without an answer to it', (answer) => ({ ...answer, succeeded: false, results: [] })],
];

for (const [what, lie] of lies) {
  test(`a transaction is answered with ${what}: nothing is claimed, nothing ends, and the truth is believed`, () => {
    let isLying = true;
    let asked = 0;
    const here = world({}, (member) => ({
      txn$: (request) => {
        asked += 1;
        return isLying ? member.txn$({ ...request, then: [], otherwise: [] }).pipe(map(lie)) : member.txn$(request);
      },
    }));
    here.etcd.up();
    here.advance(10_000);
    expect(new Set(here.statuses())).toEqual(new Set(['registering']));
    expect(here.states.at(-1)).toMatchObject({ cause: { code: 'invalid-answer' } });
    expect(asked).toBeLessThan(40);
    isLying = false;
    here.advance(5000);
    expect(here.states.at(-1)).toMatchObject({ status: 'registered' });
    expect(here.error).toBeUndefined();
  });
}

const grants: readonly (readonly [what: string, lie: (answer: GrantedLease) => GrantedLease])[] = [
  ['a TTL of 0', (answer) => ({ ...answer, ttlSeconds: 0 })],
  ['a TTL below 0', (answer) => ({ ...answer, ttlSeconds: -5 })],
  ['no TTL', (answer) => ({ ...answer, ttlSeconds: Number.NaN })],
  ['a TTL of centuries', (answer) => ({ ...answer, ttlSeconds: 9e15 })],
  ['another lease', (answer) => ({ ...answer, leaseId: '1' })],
];

for (const [what, lie] of grants) {
  test(`a grant is answered with ${what}: refused and asked for again; no renewal each millisecond, and not none`, () => {
    let isLying = true;
    const here = world({}, (member) => ({
      grant$: (ttlSeconds, leaseId) =>
        isLying ? of(lie({ leaseId, ttlSeconds })) : member.grant$(ttlSeconds, leaseId),
    }));
    here.etcd.up();
    here.advance(10_000);
    expect(here.states.at(-1)).toMatchObject({ status: 'registering', cause: { code: 'invalid-answer' } });
    expect(here.etcd.calls).toEqual([]);
    isLying = false;
    here.advance(20_000);
    expect(here.states.at(-1)).toMatchObject({ status: 'registered' });
    const renewals = here.etcd.calls.filter((call) => call.startsWith('renew')).length;
    expect(renewals).toBeGreaterThan(5);
    expect(renewals).toBeLessThan(20);
  });
}

test('whatever a transaction is answered with: registered says no more than what is there', () => {
  const answer = fc.record({
    succeeded: fc.boolean(),
    revision: fc.oneof(fc.integer({ min: -2, max: 6 }), fc.double()),
    results: fc.array(fc.constant([]), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 12 }), fc.constantFrom('write', 'watch'), (answers, confirm) => {
      const left = [...answers];
      const here = world({ confirm }, (member) => ({
        txn$: (request) => {
          const lie = left.shift();
          // A lie that has the form of the truth cannot be told from it: then it is the truth.
          const count = lie?.succeeded === true ? request.then.length : (request.otherwise?.length ?? -1);
          const isPlain = lie === undefined || lie.results.length === count;
          return isPlain ? member.txn$(request) : of(lie);
        },
      }));
      here.etcd.up();
      for (let round = 0; round < 60; round++) {
        here.advance(500);
        if (here.states.at(-1)?.status === 'registered') expect(here.stored('a')).toBe('value');
      }
      expect(here.error).toBeUndefined();
      expect(here.states.at(-1)?.status).toBe('registered');
    }),
    { numRuns: 200 },
  );
});

test('a later value that cannot be written: registered with the one that is there and the cause, until it can', () => {
  const value = new BehaviorSubject('one');
  let isFull = false;
  const full = new EtcdFault('busy', 'etcdserver: mvcc: database space exceeded', { code: 'store-full' });
  const here = world({ sources: [value] }, (member) => ({
    txn$: (request) => (isFull ? throwError(() => full) : member.txn$(request)),
  }));
  here.etcd.up();
  here.advance(100);
  isFull = true;
  value.next('two');
  here.advance(10_000);
  expect(here.states.at(-1)).toMatchObject({ status: 'registered', value: 'one', cause: { code: 'store-full' } });
  expect(here.statuses()).toEqual(['registering', 'registered', 'registered']);
  isFull = false;
  here.advance(5000);
  expect(here.states.at(-1)).toMatchObject({ status: 'registered', value: 'two' });
  expect(here.states.at(-1)).not.toHaveProperty('cause');
});

test('a source of randomness that throws, or gives no number, is an error, and leaves no lease', () => {
  for (let call = 0; call < 6; call++) {
    for (const broken of [() => Number.NaN, () => -1, () => thrower()]) {
      let calls = 0;
      const here = world({ random: () => (calls++ < call ? 0.5 : broken()) });
      here.etcd.down();
      here.etcd.up();
      here.advance(10_000);
      here.etcd.down();
      here.etcd.up();
      here.advance(20_000);
      if (calls <= call) continue;
      expect(here.error).toMatchObject({ name: 'RxEtcdError', code: 'callback-failed' });
      expect([here.etcd.leases.size, here.etcd.users]).toEqual([0, 0]);
    }
  }
});

test.each([
  ['throws', thrower],
  ['gives no number', () => Number.NaN],
])('a source of randomness that %s when all is over is not uncaught', (_, broken) => {
  let isOver = false;
  const here = world({ random: () => (isOver ? broken() : 0.5) }, () => ({
    revoke$: () => throwError(() => new EtcdFault('busy', 'too many requests')),
  }));
  here.etcd.up();
  here.advance(100);
  isOver = true;
  here.subscription.unsubscribe();
  here.advance(10_000);
  expect(here.etcd.users).toBe(0);
});

function thrower(): number {
  throw new TypeError('a mistake');
}
