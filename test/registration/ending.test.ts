import { expect, test } from 'vitest';
import { BehaviorSubject, Subject } from 'rxjs';
import { world } from './world.ts';

test('until an AbortSignal is aborted', () => {
  const controller = new AbortController();
  const here = world({ until: controller.signal });
  here.etcd.up();
  here.advance(100);
  controller.abort();
  here.advance(100);
  expect(here.statuses()).toEqual(['registering', 'registered', 'deregistered']);
  expect(here.completed).toBe(true);
  expect(here.etcd.leases.size).toBe(0);
});

test('until a signal that is aborted already: nothing is asked for', () => {
  const here = world({ until: AbortSignal.abort() });
  expect(here.statuses()).toEqual(['deregistered']);
  expect(here.etcd.users).toBe(0);
});

test('a grant stuck in a frozen member, which thaws after the revoke, leaves no lease', () => {
  for (const stuckMs of [0.5, 500, 1500, 2500, 4000]) {
    const here = world();
    here.etcd.up();
    here.etcd.frozen = true;
    here.advance(10);
    here.etcd.down();
    here.subscription.unsubscribe();
    here.etcd.stuckMs = stuckMs;
    here.etcd.up();
    here.advance(10_000);
    expect([stuckMs, here.etcd.leases.size, here.etcd.users]).toEqual([stuckMs, 0, 0]);
  }
});

test('the same when another member has granted the lease meanwhile', () => {
  for (const stuckMs of [500, 1500, 2500, 4000]) {
    const here = world();
    here.etcd.up();
    here.etcd.frozen = true;
    here.advance(10);
    here.etcd.down();
    here.etcd.stuckMs = stuckMs;
    here.etcd.up();
    here.advance(100);
    expect(here.states.at(-1)?.status).toBe('registered');
    here.subscription.unsubscribe();
    here.advance(10_000);
    expect([stuckMs, here.etcd.leases.size, here.etcd.users]).toEqual([stuckMs, 0, 0]);
  }
});

test('unsubscribed inside any emission: nothing is left, and nothing more is told', () => {
  for (const status of ['registering', 'registered', 'suspended', 'lost', 'withdrawn'] as const) {
    const ready = new BehaviorSubject(true);
    const here = world({ ready });
    const told = here.states;
    const push = told.push.bind(told);
    told.push = (...states) => {
      const length = push(...states);
      if (states[0]?.status === status) here.subscription.unsubscribe();
      return length;
    };
    here.etcd.up();
    here.advance(100);
    ready.next(false);
    here.advance(100);
    ready.next(true);
    here.advance(100);
    here.etcd.down();
    here.etcd.up();
    here.advance(100);
    for (const id of [...here.etcd.leases.keys()]) here.etcd.expire(id);
    here.advance(10_000);
    const length = told.length;
    here.advance(10_000);
    expect([status, here.etcd.leases.size, here.etcd.users]).toEqual([status, 0, 0]);
    if (status !== 'registering') expect(told.at(-1)?.status).toBe(status);
    expect(told).toHaveLength(length);
  }
});

test('a value that is emitted inside the emission of a state is taken after it', () => {
  const value = new BehaviorSubject('0');
  const here = world({ sources: [value] });
  const push = here.states.push.bind(here.states);
  here.states.push = (...states) => {
    const length = push(...states);
    const [state] = states;
    if (state?.status === 'registered' && Number(state.value) < 5) value.next(String(Number(state.value) + 1));
    return length;
  };
  here.etcd.up();
  here.advance(1000);
  expect(here.states.flatMap((state) => (state.status === 'registered' ? [state.value] : []))).toEqual([
    '0',
    '1',
    '2',
    '3',
    '4',
    '5',
  ]);
});

test('left inside an emission, with time to drain: removed first', () => {
  const until = new Subject<void>();
  const here = world({ until, drainMs: 50 });
  here.etcd.up();
  here.advance(100);
  until.next();
  here.advance(20);
  expect(here.stored('a')).toBeUndefined();
  expect(here.etcd.leases.size).toBe(1);
  here.advance(100);
  expect(here.statuses()).toEqual(['registering', 'registered', 'draining', 'deregistered']);
});
