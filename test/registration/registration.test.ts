import { beforeEach, expect, test } from 'vitest';
import fc from 'fast-check';
import { BehaviorSubject } from 'rxjs';
import { text } from '../../src/codecs/text.ts';
import type { ConflictPolicy } from '../../src/registration/reconcile.ts';
import type { RegistrationState } from '../../src/registration/registration-state.ts';
import { registration$, type RegistrationOptions } from '../../src/registration/registration.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { fakeEtcd, seeded, type FakeEtcd } from './fake-connection.ts';

const TTL_MS = 6000;

interface World {
  readonly time: VirtualTime;
  readonly etcd: FakeEtcd;
  readonly value: BehaviorSubject<string>;
  readonly ready: BehaviorSubject<boolean>;
  readonly states: RegistrationState[];
  error: unknown;
  completed: boolean;
  unsubscribe(): void;
  advance(ms: number): void;
}

function world(more: Partial<RegistrationOptions<string>> = {}, names: readonly string[] = ['a']): World {
  const time = new VirtualTime();
  const etcd = fakeEtcd(time);
  const value = new BehaviorSubject('0');
  const ready = new BehaviorSubject(true);
  const states: RegistrationState[] = [];
  const created: World = {
    time,
    etcd,
    value,
    ready,
    states,
    error: undefined,
    completed: false,
    unsubscribe: () => {
      subscription.unsubscribe();
    },
    advance: (ms) => {
      time.advance(ms);
    },
  };
  const subscription = registration$<string>({
    connection: etcd.connection,
    ttlSeconds: TTL_MS / 1000,
    keys: names.map((name) => ({ name, bytes: Buffer.from(name), namespaceBytes: 0 })),
    sources: names.map(() => value),
    codec: text(),
    onConflict: 'replace',
    confirm: 'write',
    ready,
    until: undefined,
    drainMs: 0,
    drainValue: undefined,
    scheduler: time,
    random: seeded(),
    ...more,
  }).subscribe({
    next: (state) => states.push(state),
    error: (error: unknown) => (created.error = error),
    complete: () => (created.completed = true),
  });
  return created;
}

let here: World;

beforeEach(() => {
  here = world();
});

const statuses = ({ states }: World): string[] => states.map(({ status }) => status);

test('one request puts a free key; registered comes after its answer', () => {
  here.etcd.up();
  here.advance(3.5);
  expect(here.etcd.store.size).toBe(1);
  expect(statuses(here)).toEqual(['registering']);
  here.advance(1);
  expect(statuses(here)).toEqual(['registering', 'registered']);
  expect(here.etcd.calls.map((call) => call.split(' ')[0])).toEqual(['grant', 'txn']);
});

test('before there is a connection: registering, with the failures', () => {
  here.etcd.down();
  here.etcd.down();
  expect(here.states).toMatchObject([
    { status: 'registering', attempt: 0 },
    { status: 'registering', attempt: 1 },
    { status: 'registering', attempt: 2, cause: { message: 'cut' } },
  ]);
});

test('the answer to a write is lost: found by reading, not written again', () => {
  here.etcd.up();
  here.advance(2.5);
  here.etcd.mute = true;
  here.advance(100);
  const revision = here.etcd.revision;
  expect(here.etcd.store.size).toBe(1);
  here.etcd.down();
  here.etcd.up();
  here.advance(1000);
  expect(here.states.at(-1)).toMatchObject({ status: 'registered', revision });
  expect(here.etcd.revision).toBe(revision);
});

test('a write that is stuck, and done when a newer one was made on another connection, undoes nothing', () => {
  here.etcd.up();
  here.advance(100);
  here.etcd.frozen = true;
  here.value.next('stuck');
  here.advance(100);
  here.etcd.down();
  here.value.next('newer');
  here.etcd.stuckMs = 500;
  here.etcd.up();
  here.advance(100);
  const { revision } = here.etcd;
  expect(here.states.at(-1)).toMatchObject({ status: 'registered', value: 'newer', revision });
  here.advance(2000);
  expect(here.etcd.store.get('a')?.modRevision).toBe(revision);
  expect(statuses(here)).not.toContain('lost');
});

test('values while away: only the latest is written', () => {
  here.etcd.up();
  here.advance(100);
  here.etcd.down();
  for (const value of ['1', '2', '3']) here.value.next(value);
  here.etcd.up();
  const revision = here.etcd.revision;
  here.advance(1000);
  expect(here.states.at(-1)).toMatchObject({ status: 'registered', value: '3', revision: revision + 1 });
});

test('withdrawn and back while away: nothing is written', () => {
  here.etcd.up();
  here.advance(100);
  here.etcd.down();
  here.ready.next(false);
  here.ready.next(true);
  here.etcd.up();
  const revision = here.etcd.revision;
  here.advance(1000);
  expect(here.etcd.revision).toBe(revision);
});

test('fights with a writer without a lease a few times with growing delays, then stands by until it goes', () => {
  here.etcd.up();
  here.advance(100);
  let fights = 0;
  for (let round = 0; round < 2000; round++) {
    here.advance(10);
    if (here.etcd.store.get('a')?.lease === '0') continue;
    here.etcd.put('a', 'mine');
    fights += 1;
  }
  expect(fights).toBe(6);
  expect(here.states.at(-1)).toMatchObject({ status: 'registering', cause: { code: 'key-conflict' } });
  here.etcd.delete('a');
  here.advance(100);
  expect(here.states.at(-1)?.status).toBe('registered');
});

test('a writer who is faster than the answer to our own write is fought no longer', () => {
  here.etcd.up();
  here.advance(100);
  let fights = 0;
  here.etcd.events$.subscribe(({ key, lease, type }) => {
    if (type !== 'put' || key !== 'a' || lease === '0') return;
    fights += 1;
    here.time.schedule(() => {
      here.etcd.put('a', 'mine');
    });
  });
  here.advance(60_000);
  expect(fights).toBeLessThanOrEqual(8);
  expect(Buffer.from(here.etcd.store.get('a')?.value ?? []).toString()).toBe('mine');
});

test('completion of the value while away ends in the end, and says that it was not confirmed', () => {
  here.etcd.up();
  here.advance(100);
  here.etcd.down();
  here.value.complete();
  here.advance(TTL_MS + 1);
  expect(here.states.at(-1)).toEqual({ status: 'deregistered', confirmed: false });
  expect(here.completed).toBe(true);
  expect(here.etcd.users).toBe(0);
});

test('unsubscribed while it deregisters: the revoke goes on', () => {
  here.etcd.up();
  here.advance(100);
  here.value.complete();
  here.unsubscribe();
  here.advance(100);
  expect(here.etcd.leases.size).toBe(0);
  expect(here.completed).toBe(false);
});

test('a lease of months is not in doubt after the longest timer there is', () => {
  const long = world({ ttlSeconds: 300 * 86_400 });
  long.etcd.up();
  long.advance(90 * 86_400_000);
  expect(statuses(long)).toEqual(['registering', 'registered']);
});

type Move =
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'value' | 'ready' | 'down' | 'up' | 'mute' | 'freeze' | 'expire' | 'delete' }
  | { readonly type: 'put'; readonly lease: string };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('wait' as const),
      // Quarters: a double would nearly always be next to nothing, and no moment would lie within a call.
      ms: fc.oneof(
        fc.nat(20).map((quarters) => quarters / 4),
        fc.nat(3000),
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom('value' as const, 'ready', 'down', 'up', 'mute', 'freeze', 'expire', 'delete'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('put' as const), lease: fc.constantFrom('0', 'other') }) },
);

const scenario = {
  onConflict: fc.constantFrom<ConflictPolicy>('replace', 'wait'),
  confirm: fc.constantFrom<'write' | 'watch'>('write', 'watch'),
  names: fc.constantFrom(['a'], ['a', 'b', 'c']),
  moves: fc.array(move, { maxLength: 40 }),
  leaveEarly: fc.boolean(),
};

test('whatever happens: in the end what is reported is what is there, and no owner was overwritten against the policy', () => {
  fc.assert(
    fc.property(fc.record(scenario), ({ onConflict, confirm, names, moves, leaveEarly }) => {
      const run = world({ onConflict, confirm }, names);
      const { etcd } = run;
      const foreign = new Set<string>();
      let next = 1;
      let up = false;
      const own = (): string[] => [...etcd.leases.keys()];
      for (const step of moves) {
        switch (step.type) {
          case 'wait':
            run.advance(step.ms);
            break;
          case 'value':
            run.value.next(String(next++));
            break;
          case 'ready':
            run.ready.next(!run.ready.value);
            break;
          case 'up':
            if (!up) etcd.up();
            up = true;
            break;
          case 'down':
            if (up) etcd.down();
            up = false;
            break;
          case 'mute':
            etcd.mute = true;
            break;
          case 'freeze':
            etcd.frozen = true;
            break;
          case 'expire':
            for (const id of own()) etcd.expire(id);
            break;
          case 'delete':
            etcd.delete(names[0]);
            foreign.delete(names[0]);
            break;
          case 'put':
            etcd.put(names[0], 'foreign', step.lease);
            foreign.add(names[0]);
        }
        if (onConflict === 'wait') {
          for (const key of foreign) expect(Buffer.from(etcd.store.get(key)?.value ?? []).toString()).toBe('foreign');
        }
        // All or nothing: with several keys, those that are ours are of one lease and value.
        expect(new Set(ours(run, names).map(({ lease, text: value }) => `${lease} ${value}`)).size).toBeLessThanOrEqual(
          1,
        );
        checkRegistered(run, names);
      }
      if (leaveEarly) {
        run.unsubscribe();
        if (up) etcd.down();
        etcd.up();
        run.advance(TTL_MS);
        expect([etcd.leases.size, ours(run, names).length, etcd.users]).toEqual([0, 0, 0]);
        return;
      }
      // Calm: what was stuck is cut off, and everybody else goes.
      if (up) etcd.down();
      run.ready.next(true);
      if (etcd.store.get(names[0])?.lease === 'other' || onConflict === 'wait') etcd.delete(names[0]);
      etcd.up();
      run.advance(120_000);
      if (etcd.store.get(names[0])?.lease === '0') etcd.delete(names[0]);
      run.advance(10_000);
      expect(run.states.at(-1)).toMatchObject({ status: 'registered', value: run.value.value });
      const all = ours(run, names);
      expect(all.map(({ text: value }) => value)).toEqual(names.map(() => run.value.value));
      expect(own()).toEqual([all[0]?.lease]);
      // It ends tidily from wherever it is.
      run.unsubscribe();
      run.advance(TTL_MS * 2);
      expect([etcd.leases.size, etcd.store.size, etcd.users]).toEqual([0, 0, 0]);
    }),
    { numRuns: 1500 },
  );
}, 60_000);

function ours(run: World, names: readonly string[]): { readonly lease: string; readonly text: string }[] {
  return names.flatMap((name) => {
    const entry = run.etcd.store.get(name);
    if (entry === undefined || entry.lease === '0' || entry.lease === 'other') return [];
    return [{ lease: entry.lease, text: Buffer.from(entry.value).toString() }];
  });
}

/** R1: a state `registered` names a write that etcd has made. */
function checkRegistered(run: World, names: readonly string[]): void {
  const state = run.states.at(-1);
  if (state?.status !== 'registered') return;
  expect([...state.entries.keys()]).toEqual(names);
  expect(state.revision).toBeLessThanOrEqual(run.etcd.revision);
}
