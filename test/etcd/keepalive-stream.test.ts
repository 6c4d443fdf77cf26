import { expect, test } from 'vitest';
import { keepAliveStream } from '../../src/etcd/keepalive-stream.ts';
import type { EtcdFault } from '../../src/etcd/faults.ts';
import type { Renewal } from '../../src/etcd/member.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { fakeDuplex, type FakeDuplex } from './fakes.ts';

function streamOf(scheduler: VirtualTime) {
  const opened: FakeDuplex[] = [];
  const faults: EtcdFault[] = [];
  const keepAlive$ = keepAliveStream({
    open: () => {
      const duplex = fakeDuplex();
      opened.push(duplex);
      return duplex;
    },
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
