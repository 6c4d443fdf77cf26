import { beforeEach, expect, test } from 'vitest';
import { Subject, map, type Subscription } from 'rxjs';
import type { GrantedLease } from '../../src/etcd/member.ts';
import { EtcdFault } from '../../src/etcd/faults.ts';
import { heldLease$ } from '../../src/registration/lease.ts';
import { Revocation } from '../../src/registration/revocation.ts';
import type { LeaseState } from '../../src/registration/lease-state.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { fakeEtcd, seeded, type FakeEtcd } from './fake-connection.ts';

let time: VirtualTime;
let etcd: FakeEtcd;
let states: LeaseState[];

beforeEach(() => {
  time = new VirtualTime();
  etcd = fakeEtcd(time);
  states = [];
});

function hold(ttlSeconds = 9): Subscription {
  return started(ttlSeconds, seeded(), (lease) => states.push(lease));
}

function started(
  ttlSeconds: number,
  random: () => number,
  next: (lease: LeaseState) => void = () => undefined,
  error: (error: unknown) => void = () => undefined,
): Subscription {
  return heldLease$({ connection: etcd.connection, ttlSeconds, scheduler: time, random }).subscribe({ next, error });
}

const statuses = (): string[] =>
  states.map(({ status }) => status).filter((status, index, all) => status !== all[index - 1]);

test('granted, and renewed at a third of the TTL for ever', () => {
  hold();
  etcd.up();
  time.runTo(90_000);
  expect(statuses()).toEqual(['granting', 'granted']);
  const renewals = etcd.calls.filter((call) => call.startsWith('renew')).length;
  expect(renewals).toBeGreaterThanOrEqual(29);
  expect(renewals).toBeLessThanOrEqual(31);
});

test('first renewals are spread over a third of the TTL', () => {
  const random = seeded();
  for (let index = 0; index < 300; index++) {
    started(9, random);
  }
  etcd.up();
  const perSecond: number[] = [];
  for (let second = 1; second <= 3; second++) {
    const before = etcd.calls.length;
    time.runTo(second * 1000 + 10);
    perSecond.push(etcd.calls.slice(before).filter((call) => call.startsWith('renew')).length);
  }
  for (const count of perSecond) expect(count).toBeGreaterThan(70);
});

test('frozen: in doubt two thirds of a TTL after the last answered renewal was sent, and no loss is claimed', () => {
  hold();
  etcd.up();
  time.runTo(10_000);
  etcd.frozen = true;
  time.runTo(20_000);
  const suspended = states.at(-1);
  expect(suspended).toMatchObject({ status: 'suspended' });
  if (suspended?.status !== 'suspended') return;
  expect(suspended.sinceMs).toBeCloseTo(suspended.expiresAtMs - 3000, 0);
  time.runTo(100_000);
  expect(statuses()).toEqual(['granting', 'granted', 'suspended']);
});

test('back before it expired: the same lease, verified by a renewal first', () => {
  hold();
  etcd.up();
  time.runTo(5000);
  etcd.down();
  expect(states.at(-1)?.status).toBe('suspended');
  time.runTo(8000);
  etcd.up();
  expect(states.at(-1)?.status).toBe('suspended');
  time.runTo(8010);
  expect(states.at(-1)?.status).toBe('granted');
  expect(etcd.leases.size).toBe(1);
  expect(etcd.calls.filter((call) => call.startsWith('grant')).length).toBe(1);
});

test('away for longer than the TTL: lost only when etcd says so, then another lease', () => {
  hold();
  etcd.up();
  time.runTo(5000);
  const [old] = [...etcd.leases.keys()];
  etcd.down();
  etcd.expire(old as string);
  time.runTo(60_000);
  expect(states.at(-1)?.status).toBe('suspended');
  etcd.up();
  time.runTo(61_000);
  expect(statuses()).toEqual(['granting', 'granted', 'suspended', 'lost', 'granting', 'granted']);
  expect([...etcd.leases.keys()]).not.toContain(old);
});

test('an answer to a renewal sent longer than a TTL ago proves nothing', () => {
  // As when this process was suspended with the answer in its buffers.
  hold();
  etcd.up();
  time.runTo(1000);
  etcd.answersAgeMs = 20_000;
  time.runTo(30_000);
  expect(statuses()).toEqual(['granting', 'granted', 'suspended']);
  etcd.answersAgeMs = 0;
  time.runTo(40_000);
  expect(statuses()).toEqual(['granting', 'granted', 'suspended', 'granted']);
});

test('the answer to the grant is lost: the same id is asked for again, so there is one lease', () => {
  hold();
  etcd.up();
  etcd.mute = true;
  time.runTo(10);
  expect(etcd.leases.size).toBe(1);
  etcd.down();
  etcd.up();
  time.runTo(2000);
  expect(states.at(-1)?.status).toBe('granted');
  expect(etcd.leases.size).toBe(1);
});

test('failed grants are retried for ever with growing, bounded delays', () => {
  etcd.grantFaults.push(...Array.from({ length: 20 }, () => new EtcdFault('busy', 'too many requests')));
  hold();
  etcd.up();
  time.runTo(120_000);
  const attempts = states.flatMap((state) => (state.status === 'granting' ? [state.attempt] : []));
  expect(Math.max(...attempts)).toBe(20);
  expect(states.at(-1)?.status).toBe('granted');
});

test('what retrying cannot cure is an error', () => {
  etcd.grantFaults.push(new EtcdFault('invalid-request', 'too large lease TTL'));
  let error: unknown;
  started(9, seeded(), undefined, (cause) => (error = cause));
  etcd.up();
  time.runTo(100);
  expect(error).toMatchObject({ name: 'RxEtcdError', code: 'invalid-request' });
});

test('unsubscribed while the grant is under way: revoked after its answer, and the connection let go', () => {
  const held = hold();
  etcd.up();
  time.runTo(0.5);
  held.unsubscribe();
  expect(etcd.users).toBeGreaterThan(0);
  time.runTo(10_000);
  expect(etcd.calls.map((call) => call.split(' ')[0])).toEqual(['grant', 'revoke']);
  expect(etcd.leases.size).toBe(0);
  expect(etcd.users).toBe(0);
});

test('unsubscribed before anything was sent: nothing is sent', () => {
  const held = hold();
  held.unsubscribe();
  etcd.up();
  time.runTo(60_000);
  expect(etcd.calls).toEqual([]);
  expect(etcd.users).toBe(0);
});

test('unsubscribed while etcd is away: revoked when it is back, given up when the TTL has ended the lease', () => {
  const first = hold();
  etcd.up();
  time.runTo(1000);
  etcd.down();
  first.unsubscribe();
  time.runTo(5000);
  etcd.up();
  time.runTo(5100);
  expect(etcd.leases.size).toBe(0);
  expect(etcd.users).toBe(0);

  const second = hold();
  time.runTo(6000);
  etcd.down();
  second.unsubscribe();
  expect(etcd.users).toBeGreaterThan(0);
  time.runTo(15_001);
  expect(etcd.users).toBe(0);
});

test('a revocation tells whether etcd confirmed it', () => {
  const told: boolean[] = [];
  const revoke = (id: string): void => {
    const lease = { id, ttlSeconds: 9, renewedAtMs: 0, lateMs: 0, wasAsked: true };
    const onDone = (confirmed: boolean): number => told.push(confirmed);
    const { connection } = etcd;
    new Revocation({
      connection,
      lease,
      grant: undefined,
      unanswered: [],
      scheduler: time,
      random: seeded(),
      onDone,
    }).start();
  };
  etcd.up();
  revoke('1');
  time.runTo(100);
  expect(told).toEqual([true]);
  etcd.down();
  revoke('2');
  time.runTo(20_000);
  expect(told).toEqual([true, false]);
  expect(etcd.users).toBe(0);
});

test('a thousand leases lost together do not come back in the same instant', () => {
  const random = seeded();
  for (let index = 0; index < 1000; index++) {
    started(9, random);
  }
  etcd.up();
  time.runTo(1000);
  etcd.down();
  for (const leaseId of [...etcd.leases.keys()]) etcd.expire(leaseId);
  time.runTo(2000);
  etcd.up();
  const perSlot: number[] = [];
  for (let slot = 1; slot <= 12; slot++) {
    const before = etcd.calls.length;
    time.runTo(2000 + slot * 50);
    perSlot.push(etcd.calls.slice(before).filter((call) => call.startsWith('grant')).length);
  }
  expect(perSlot.reduce((sum, count) => sum + count, 0)).toBe(1000);
  expect(Math.max(...perSlot)).toBeLessThan(200);
});

interface AnsweredGrant extends Subject<GrantedLease> {
  askedId: string;
}

/** Grants are answered by the test, also on a member that is gone: what is under way there is not cancelled. */
function answeredByHand(): AnsweredGrant[] {
  const grants: AnsweredGrant[] = [];
  const grant$ = (_: number, askedId: string): AnsweredGrant => {
    const answer = Object.assign(new Subject<GrantedLease>(), { askedId });
    grants.push(answer);
    return answer;
  };
  const member$ = etcd.connection.member$.pipe(
    map((state) => (state.status === 'up' ? { ...state, member: { ...state.member, grant$ } } : state)),
  );
  Object.assign(etcd, { connection: { member$, drainingMember$: member$ } });
  return grants;
}

test('a member that was frozen grants too late what another one has granted since: the lease is still ours', () => {
  const grants = answeredByHand();
  const held = hold();
  etcd.up();
  etcd.down();
  etcd.up();
  const leaseId = grants[1]?.askedId ?? '';
  etcd.leases.set(leaseId, { ttlSeconds: 9 });
  grants[1]?.next({ leaseId, ttlSeconds: 9 });
  grants[0]?.error(new EtcdFault('lease-exists', 'lease already exists'));
  expect(states.at(-1)?.status).toBe('granted');
  held.unsubscribe();
  time.runTo(10_000);
  expect(etcd.calls.filter((call) => call.startsWith('revoke'))).toHaveLength(1);
});

test('an earlier grant is answered while a later one is under way: a revoke waits for that one', () => {
  const grants = answeredByHand();
  const held = hold();
  etcd.up();
  etcd.down();
  etcd.up();
  grants[0]?.next({ leaseId: grants[0].askedId, ttlSeconds: 9 });
  held.unsubscribe();
  time.runTo(1000);
  expect(etcd.calls).toEqual([]);
  grants[1]?.error(new EtcdFault('lease-exists', 'lease already exists'));
  time.runTo(2000);
  expect(etcd.calls.map((call) => call.split(' ')[0])).toEqual(['revoke']);
});

test('the clock is set back by an hour while the grant is under way: doubted in time all the same', () => {
  let setBackMs = 0;
  time.now = () => time.frame - setBackMs;
  const grants = answeredByHand();
  hold();
  etcd.up();
  etcd.frozen = true;
  setBackMs = 3_600_000;
  grants[0]?.next({ leaseId: grants[0].askedId, ttlSeconds: 9 });
  expect(statuses()).toEqual(['granting', 'granted']);
  time.runTo(6001);
  expect(statuses()).toEqual(['granting', 'granted', 'suspended']);
});

test('the clock is set back by an hour while the grant is under way: the first renewal does not wait for that hour', () => {
  let setBackMs = 0;
  time.now = () => time.frame - setBackMs;
  const grants = answeredByHand();
  hold();
  etcd.up();
  setBackMs = 3_600_000;
  grants[0]?.next({ leaseId: grants[0].askedId, ttlSeconds: 9 });
  time.runTo(3010);
  expect(etcd.calls.map((call) => call.split(' ')[0])).toContain('renew');
});
