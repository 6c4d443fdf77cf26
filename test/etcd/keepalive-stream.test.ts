import { NEVER, of, throwError, type Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { keepAliveStream } from '../../src/etcd/keepalive-stream.ts';
import { EtcdFault, toFault } from '../../src/etcd/faults.ts';
import type { Renewal } from '../../src/etcd/member.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { fakeDuplex, grpcError, type FakeDuplex } from './fakes.ts';

function streamOf(scheduler: VirtualTime, renewToken$: (fault: EtcdFault) => Observable<unknown> = () => of('new')) {
  const opened: FakeDuplex[] = [];
  const faults: EtcdFault[] = [];
  const keepAlive$ = keepAliveStream({
    open: () => {
      const duplex = fakeDuplex();
      opened.push(duplex);
      return duplex;
    },
    sort: toFault,
    renewToken$,
    onFault: (fault) => faults.push(fault),
    onAnswer: () => undefined,
    scheduler,
    steadyNowMs: () => scheduler.frame,
    random: () => 0,
  });
  return { keepAlive$, opened, faults };
}

const DAY_MS = 86_400_000;
// Node runs a timer with a longer delay at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

test('a lease of several months sets no timer longer than there are, which would run at once, over and over', () => {
  const scheduler = new VirtualTime();
  const delays: number[] = [];
  const schedule = scheduler.schedule.bind(scheduler);
  scheduler.schedule = (work, delay = 0, state) => {
    delays.push(delay);
    return schedule(work, delay, state as never);
  };
  const { keepAlive$, opened } = streamOf(scheduler);
  const ttlSeconds = 300 * 86_400;
  const subscription = keepAlive$('7', ttlSeconds, (ttlSeconds * 1000) / 3).subscribe();
  scheduler.runTo(99 * DAY_MS);
  expect(opened[0]?.written).toEqual([]);
  scheduler.runTo(101 * DAY_MS);
  expect(opened[0]?.written).toEqual([{ ID: '7' }]);
  expect(Math.max(...delays)).toBeLessThanOrEqual(LONGEST_TIMER_MS);
  subscription.unsubscribe();
});

test('a renewal is answered to the lease it is of; a lease that is gone ends alone', () => {
  const scheduler = new VirtualTime();
  const { keepAlive$, opened, faults } = streamOf(scheduler);
  const seen: (Renewal | EtcdFault)[] = [];
  const a = keepAlive$('1', 9, 0).subscribe({ next: (r) => seen.push(r), error: (e: EtcdFault) => seen.push(e) });
  const b = keepAlive$('2', 9, 0).subscribe({ next: (r) => seen.push(r), error: (e: EtcdFault) => seen.push(e) });
  scheduler.runTo(1);
  expect(opened).toHaveLength(1);
  opened[0]?.data({ ID: '2', TTL: 9 });
  opened[0]?.data({ ID: '1', TTL: 0 });
  expect(seen).toMatchObject([{ ttlSeconds: 9 }, { kind: 'lease-gone' }]);
  expect(b.closed).toBe(false);
  expect(a.closed).toBe(true);
  b.unsubscribe();
  expect(opened[0]?.cancelled).toBe(true);
  expect(faults).toEqual([]);
});

test('a stream that is lost fails each lease once, and the next lease opens another', () => {
  const scheduler = new VirtualTime();
  const { keepAlive$, opened, faults } = streamOf(scheduler);
  const errors: unknown[] = [];
  for (const id of ['1', '2']) keepAlive$(id, 9, 0).subscribe({ error: (error: unknown) => errors.push(error) });
  opened[0]?.fail(Object.assign(new Error('14 UNAVAILABLE'), { code: 14 }));
  expect(errors).toHaveLength(2);
  expect(faults).toHaveLength(1);
  keepAlive$('1', 9, 0).subscribe().unsubscribe();
  expect(opened).toHaveLength(2);
});

test('a member that answers no renewal is given up in time to renew at another one; a late answer clears it', () => {
  const scheduler = new VirtualTime();
  const { keepAlive$, opened, faults } = streamOf(scheduler);
  keepAlive$('1', 10, 0).subscribe({ error: () => undefined });
  const until = (ms: number): void => {
    scheduler.runTo(ms);
  };
  until(1);
  opened[0]?.data({ ID: '1', TTL: 10 });
  // Sent a third of the TTL later at the latest, and not answered when the next is due: suspected; answered in the last moment.
  until(6500);
  expect(opened[0]?.written).toHaveLength(3);
  opened[0]?.data({ ID: '1', TTL: 10 });
  opened[0]?.data({ ID: '1', TTL: 10 });
  until(9000);
  expect(faults).toEqual([]);
  until(14_000);
  expect(faults.map(({ kind }) => kind)).toEqual(['connection']);
  // The last answered renewal was sent at 6400 ms: there is time left.
  expect(scheduler.now()).toBeLessThan(6400 + 10_000);
});

test('a clock that is set back stops no renewal', () => {
  const scheduler = new VirtualTime();
  let setBackMs = 0;
  scheduler.now = () => scheduler.frame - setBackMs;
  const { keepAlive$, opened } = streamOf(scheduler);
  const renewals: Renewal[] = [];
  for (const id of ['1', '2']) keepAlive$(id, 9, 0).subscribe((renewal) => renewals.push(renewal));
  for (let second = 1; second <= 60; second++) {
    if (second === 20) setBackMs = 3_600_000;
    scheduler.runTo(second * 1000);
    for (const request of opened[0]?.written.splice(0) ?? []) opened[0]?.data({ ...request, TTL: 9 });
  }
  expect(renewals.length).toBeGreaterThanOrEqual(38);
  expect(renewals.every(({ lateMs }) => lateMs < 1500)).toBe(true);
});

test('an answer to a renewal from before the lease was taken up again is not taken for one to a later renewal', () => {
  const scheduler = new VirtualTime();
  const { keepAlive$, opened } = streamOf(scheduler);
  const until = (ms: number): void => {
    scheduler.runTo(ms);
  };
  const renewals: Renewal[] = [];
  keepAlive$('other', 900, 300_000).subscribe();
  const before = keepAlive$('1', 9, 0).subscribe();
  until(2000);
  before.unsubscribe();
  keepAlive$('1', 9, 0).subscribe((renewal) => renewals.push(renewal));
  until(2001);
  opened[0]?.data({ ID: '1', TTL: 9 });
  expect(renewals).toMatchObject([{ sentAtMs: 0 }]);
  opened[0]?.data({ ID: '1', TTL: 9 });
  expect(renewals).toMatchObject([{ sentAtMs: 0 }, { sentAtMs: 2000 }]);
});

test('answers that come late, but come, are not silence', () => {
  const scheduler = new VirtualTime();
  const { keepAlive$, opened, faults } = streamOf(scheduler);
  for (let id = 0; id < 100; id++) keepAlive$(String(id), 9, id * 30).subscribe({ error: () => undefined });
  // One renewal every 30 ms, and after a while one answer every 36 ms.
  for (let atMs = 1; atMs < 60_000; atMs++) {
    scheduler.runTo(atMs);
    if (atMs % (atMs < 10_000 ? 30 : 36) !== 0) continue;
    const request = opened[0]?.written.shift();
    if (request !== undefined) opened[0]?.data({ ...request, TTL: 9 });
  }
  expect(faults).toEqual([]);
});

test('a process stopped while it suspects silence reads what came first', () => {
  const scheduler = new VirtualTime();
  let stoppedMs = 0;
  scheduler.now = () => scheduler.frame + stoppedMs;
  const faults: EtcdFault[] = [];
  const duplex = fakeDuplex();
  keepAliveStream({
    open: () => duplex,
    sort: toFault,
    renewToken$: () => NEVER,
    onFault: (fault) => faults.push(fault),
    onAnswer: () => undefined,
    scheduler,
    steadyNowMs: () => scheduler.now(),
    random: () => 0,
  })('1', 10, 0).subscribe({ error: () => undefined });
  const until = (ms: number): void => {
    scheduler.runTo(ms);
  };
  until(3300);
  stoppedMs = 10_000;
  until(3450);
  expect(faults).toEqual([]);
  duplex.data({ ID: '1', TTL: 10 });
  duplex.data({ ID: '1', TTL: 10 });
  until(3800);
  expect(faults).toEqual([]);
});

describe('a refusal that ends the stream', () => {
  const denied = grpcError(7, 'etcdserver: permission denied');
  const expired = grpcError(16, 'etcdserver: invalid auth token');

  /** Leases whose first renewals are all due at once, in the order of their ids. */
  function kept(count: number, renewToken$?: () => Observable<unknown>) {
    const scheduler = new VirtualTime();
    const stream = streamOf(scheduler, renewToken$);
    const told = new Map<string, string[]>();
    for (let id = 1; id <= count; id++) {
      const seen: string[] = [];
      told.set(String(id), seen);
      stream.keepAlive$(String(id), 9, id / 1000).subscribe({
        next: () => seen.push('renewed'),
        error: ({ kind }: EtcdFault) => seen.push(kind),
      });
    }
    const until = (ms: number): void => {
      scheduler.runTo(ms);
    };
    const written = (): string[] => stream.opened.at(-1)?.written.map((request) => String(request['ID'])) ?? [];
    return { ...stream, told, until, written };
  }

  test('is of the oldest renewal not answered: that lease fails alone, the others go on over another stream', () => {
    const { opened, faults, told, until, written } = kept(3);
    until(5);
    expect(written()).toEqual(['1', '2', '3']);
    opened[0]?.data({ ID: '1', TTL: 9 });
    opened[0]?.fail(denied);
    expect(told.get('2')).toEqual(['permission-denied']);
    expect(opened).toHaveLength(2);
    expect(opened[0]?.cancelled).toBe(true);
    expect(written()).toEqual(['3']);
    opened[1]?.data({ ID: '3', TTL: 9 });
    until(3000);
    expect(written()).toEqual(['3', '1', '3']);
    expect([told.get('1'), told.get('3'), faults]).toEqual([['renewed'], ['renewed'], []]);
  });

  test('of a lease that was let go ends nobody', () => {
    const { keepAlive$, opened, faults, told, until } = kept(1);
    keepAlive$('gone', 9, 0).subscribe().add(undefined);
    const gone = keepAlive$('0', 9, 0).subscribe();
    until(5);
    gone.unsubscribe();
    opened[0]?.data({ ID: 'gone', TTL: 9 });
    opened[0]?.fail(denied);
    opened[1]?.data({ ID: '1', TTL: 9 });
    expect([told.get('1'), faults]).toEqual([['renewed'], []]);
  });

  test('again and again, of a thousand leases, sends each a few times, not half a million', () => {
    const { opened, faults, told, until } = kept(1000);
    until(5);
    for (let refusals = 0; refusals < 1000; refusals++) opened.at(-1)?.fail(denied);
    expect([...told.values()].every((seen) => seen.join() === 'permission-denied')).toBe(true);
    const sent = opened.reduce((sum, { written }) => sum + written.length, 0);
    expect(sent).toBeLessThanOrEqual(3000);
    expect(opened.at(-1)?.cancelled).toBe(true);
    expect(faults).toEqual([]);
  });

  test('of one among a thousand does not hold up the others: more are sent with each answer', () => {
    const { opened, told, until, written } = kept(1000);
    until(5);
    opened[0]?.fail(denied);
    let rounds = 0;
    for (let answered = 0; answered < 999; rounds++) {
      for (const id of written().slice(answered)) {
        opened.at(-1)?.data({ ID: id, TTL: 9 });
        answered += 1;
      }
    }
    expect(rounds).toBeLessThan(15);
    expect([...told.values()].filter((seen) => seen.join() === 'renewed')).toHaveLength(999);
  });

  test('because the token expired costs a new token and a new stream, and no lease', () => {
    let renewed = 0;
    const { opened, faults, told, until, written } = kept(2, () => {
      renewed += 1;
      return of('new');
    });
    until(5);
    opened[0]?.fail(expired);
    expect([renewed, opened.length]).toEqual([1, 2]);
    expect(written()).toEqual(['1', '2']);
    for (const ID of written()) opened[1]?.data({ ID, TTL: 9 });
    expect([told.get('1'), told.get('2'), faults]).toEqual([['renewed'], ['renewed'], []]);
  });

  test('with every new token speaks against the member in the end, without a spin', () => {
    const { opened, faults, told, until } = kept(2);
    for (let ms = 5; ms < 60_000; ms += 50) {
      until(ms);
      const stream = opened.at(-1);
      if (stream?.cancelled === false && stream.written.length > 0) stream.fail(expired);
    }
    expect(opened.length).toBeLessThan(10);
    expect([told.get('1'), told.get('2')]).toEqual([['token'], ['token']]);
    expect(faults.map(({ kind }) => kind)).toEqual(['token']);
  });

  test('when a token cannot be had ends the leases with the reason', () => {
    const { opened, faults, told, until } = kept(1, () =>
      throwError(() => new EtcdFault('unauthenticated', 'the password was changed')),
    );
    until(5);
    opened[0]?.fail(expired);
    expect([told.get('1'), faults.map(({ kind }) => kind)]).toEqual([['unauthenticated'], ['unauthenticated']]);
  });

  test('while a token is awaited, leases come, go and fall due, and are renewed when it is there', () => {
    const { keepAlive$, opened, until, told, written } = kept(2, () => NEVER);
    until(5);
    opened[0]?.fail(expired);
    const late = keepAlive$('late', 9, 0).subscribe();
    until(9000);
    late.unsubscribe();
    expect(opened).toHaveLength(1);
    expect([told.get('1'), written()]).toEqual([[], ['1', '2']]);
  });

  test('of a front is not taken for the word of etcd: the member is given up', () => {
    const { opened, faults, told, until } = kept(2);
    until(5);
    opened[0]?.fail(grpcError(7, 'Received HTTP status code 403'));
    expect([told.get('1'), faults.map(({ kind }) => kind)]).toEqual([['connection'], ['connection']]);
  });

  test('with nothing to answer speaks against the member', () => {
    const { opened, faults } = kept(1);
    opened[0]?.fail(denied);
    expect(faults.map(({ kind }) => kind)).toEqual(['connection']);
  });
});

describe('an answer that cannot be', () => {
  test.each([0, -1, -9e15, NaN])('a TTL of %s says that the lease is gone', (TTL) => {
    const scheduler = new VirtualTime();
    const { keepAlive$, opened } = streamOf(scheduler);
    const errors: string[] = [];
    keepAlive$('1', 9, 0).subscribe({ error: ({ kind }: EtcdFault) => errors.push(kind) });
    scheduler.runTo(1);
    opened[0]?.data({ ID: '1', TTL });
    expect(errors).toEqual(['lease-gone']);
  });

  test('a TTL far longer than the granted one does not end the renewals', () => {
    const scheduler = new VirtualTime();
    const { keepAlive$, opened } = streamOf(scheduler);
    const seen: number[] = [];
    keepAlive$('1', 9, 0).subscribe({ next: ({ ttlSeconds }) => seen.push(ttlSeconds) });
    for (let ms = 1; ms < 30_000; ms += 100) {
      scheduler.runTo(ms);
      for (const { ID } of opened[0]?.written.splice(0) ?? []) opened[0]?.data({ ID, TTL: 2 ** 53 });
    }
    expect(seen.length).toBeGreaterThan(9);
    expect(new Set(seen)).toEqual(new Set([9]));
  });

  test('for a lease nobody knows, or given twice, changes nothing', () => {
    const scheduler = new VirtualTime();
    const { keepAlive$, opened, faults } = streamOf(scheduler);
    const seen: unknown[] = [];
    keepAlive$('1', 9, 0).subscribe({ next: (renewal) => seen.push(renewal), error: (error) => seen.push(error) });
    scheduler.runTo(1);
    for (const ID of ['7', '1', '1', '1', '-1', '', '7']) opened[0]?.data({ ID, TTL: 9 });
    expect(seen).toHaveLength(1);
    expect(faults).toEqual([]);
  });

  test('a lease passed over, while another one is answered, fails alone', () => {
    const scheduler = new VirtualTime();
    const { keepAlive$, opened, faults } = streamOf(scheduler);
    const errors: EtcdFault[] = [];
    keepAlive$('1', 9, 0).subscribe({ error: (error: EtcdFault) => errors.push(error) });
    keepAlive$('2', 9, 0).subscribe();
    for (let ms = 1; ms < 30_000; ms += 100) {
      scheduler.runTo(ms);
      for (const { ID } of opened[0]?.written.splice(0) ?? []) if (ID === '2') opened[0]?.data({ ID, TTL: 9 });
    }
    expect(errors.map(({ kind, code }) => [kind, code])).toEqual([['busy', 'timeout']]);
    expect(faults).toEqual([]);
  });
});
