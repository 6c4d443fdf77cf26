import { expect, test } from 'vitest';
import { type Observable, BehaviorSubject, Subject, Subscription, map, merge, throwError } from 'rxjs';
import { text } from '../../src/codecs/text.ts';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { Connection, Member } from '../../src/etcd/member.ts';
import type { RegistrationState } from '../../src/registration/registration-state.ts';
import { registration$, type RegistrationOptions } from '../../src/registration/registration.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { fakeEtcd, seeded, type FakeEtcd } from './fake-connection.ts';

interface World {
  readonly etcd: FakeEtcd;
  readonly states: RegistrationState[];
  error: unknown;
  readonly subscription: Subscription;
  advance(ms: number): void;
}

/** A registration over members that a test makes worse. */
function world(
  more: Partial<RegistrationOptions<string>>,
  {
    names = ['a'],
    worse = (member: Member): Partial<Member> => member,
    latencyMs = 1,
    time = new VirtualTime(),
    etcd = fakeEtcd(time, latencyMs),
  } = {},
): World {
  const member$ = etcd.connection.member$.pipe(
    map((state) => (state.status === 'up' ? { ...state, member: { ...state.member, ...worse(state.member) } } : state)),
  );
  const connection: Connection = { member$, drainingMember$: member$ };
  const states: RegistrationState[] = [];
  const created: World = {
    etcd,
    states,
    error: undefined,
    subscription: new Subscription(),
    advance: (ms) => {
      time.advance(ms);
    },
  };
  created.subscription.add(
    registration$<string>({
      connection,
      ttlSeconds: 6,
      keys: names.map((name) => ({ name, bytes: Buffer.from(name), namespaceBytes: 0 })),
      sources: names.map(() => 'value'),
      codec: text(),
      onConflict: 'replace',
      confirm: 'write',
      ready: undefined,
      until: undefined,
      drainMs: 0,
      drainValue: undefined,
      scheduler: time,
      random: seeded(),
      ...more,
    }).subscribe({
      next: (state) => states.push(state),
      error: (error: unknown) => (created.error = error),
    }),
  );
  etcd.up();
  return created;
}

test('the watch is lost in the pause after a takeover: what is stood by for is still heard of', () => {
  for (let seed = 1; seed < 40; seed++) {
    let broken = new Subject<never>();
    const here = world(
      { onConflict: 'wait', random: seeded(seed * 7_000_000) },
      { worse: (member) => ({ watch$: (request) => merge(member.watch$(request), broken) }) },
    );
    here.advance(100);
    here.etcd.put('a', 'foreign', 'other');
    here.advance(0.6);
    const breaking = broken;
    broken = new Subject();
    breaking.error(new EtcdFault('busy', 'cancelled'));
    here.advance(5000);
    here.etcd.delete('a');
    here.advance(10_000);
    expect([seed, here.states.at(-1)?.status]).toEqual([seed, 'registered']);
  }
});

test('confirmed by watch, a key that was only read again needs no second word of the watch', () => {
  // The second stranger comes at every moment of the repair, that on which our write misses it included.
  for (let quarters = 1; quarters < 2400; quarters++) {
    const here = world({ confirm: 'watch' }, { names: ['a', 'b'] });
    here.advance(100);
    here.etcd.put('a', 'foreign');
    here.advance(quarters / 4);
    here.etcd.put('a', 'foreign again');
    here.advance(10_000);
    expect([quarters, here.states.at(-1)?.status]).toEqual([quarters, 'registered']);
  }
});

for (const method of ['grant$', 'keepAlive$', 'txn$', 'watch$'] as const) {
  for (const how of ['thrown', 'failed with']) {
    test(`a mistake in code is an error, and no weather to sit out: ${how}, ${method}`, () => {
      const mistake = new TypeError('a mistake');
      const broken = (): Observable<never> => {
        if (how === 'thrown') throw mistake;
        return throwError(() => mistake);
      };
      const here = world({}, { worse: () => ({ [method]: broken }) });
      here.advance(10_000);
      expect(here.error).toBe(mistake);
      expect(here.etcd.leases.size).toBe(0);
    });
  }
}

test('a drainValue that throws is an error, and the lease is revoked', () => {
  const until = new Subject<void>();
  const mistake = new TypeError('a mistake');
  const drainValue = (): string => {
    throw mistake;
  };
  const here = world({ until, drainMs: 100, drainValue });
  here.advance(100);
  until.next();
  here.advance(10_000);
  expect(here.error).toMatchObject({ code: 'callback-failed', cause: mistake });
  expect(here.etcd.leases.size).toBe(0);
});

test("a lease id that is taken at the first request is somebody else's: another is drawn", () => {
  const twin = world({});
  twin.advance(100);
  const [taken = ''] = twin.etcd.leases.keys();
  const here = world({});
  here.etcd.leases.set(taken, { ttlSeconds: 6 });
  here.advance(10_000);
  const last = here.states.at(-1);
  expect(last?.status === 'registered' && last.leaseId !== taken).toBe(true);
  expect(here.etcd.calls).not.toContain(`revoke ${taken}`);
});

test('the answer to a grant took a good part of the TTL: renewed a third of the TTL after it was sent, at the latest', () => {
  const here = world({}, { latencyMs: 1500 });
  here.advance(3000 + 1500);
  expect(here.etcd.calls.map((call) => call.split(' ')[0])).toContain('renew');
});

test('let go after the watch was lost twice in short order, with a write in between: no timer is left', () => {
  const time = new VirtualTime();
  const timers: Subscription[] = [];
  const schedule = time.schedule.bind(time);
  time.schedule = (work, delay, state) => {
    const subscription = schedule(work, delay, state as never);
    timers.push(subscription);
    return subscription;
  };
  const etcd = fakeEtcd(time, 0);
  const watches: Subject<never>[] = [];
  const value = new BehaviorSubject('one');
  const member = (of: Member): Partial<Member> => ({
    ...of,
    watch$: () => {
      const watch = new Subject<never>();
      watches.push(watch);
      return watch;
    },
  });
  const here = world({ scheduler: time, sources: [value] }, { worse: member, etcd, time });
  here.advance(10);
  for (const next of ['two', 'three']) {
    watches.at(-1)?.error(new EtcdFault('busy', 'cancelled'));
    value.next(next);
    here.advance(10);
  }
  expect(watches).toHaveLength(3);
  watches.at(-1)?.error(new EtcdFault('busy', 'cancelled'));
  here.subscription.unsubscribe();
  here.advance(10);
  expect(timers.filter(({ closed }) => !closed)).toEqual([]);
});
