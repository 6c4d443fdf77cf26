import { NEVER, VirtualTimeScheduler, of, throwError, type Observable } from 'rxjs';
import { expect, test } from 'vitest';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { Fingerprint, Member, WatchMessage } from '../../src/etcd/member.ts';
import { SilenceProbe, StreamActivity } from '../../src/etcd/silence-probe.ts';
import { TimerQueue } from '../../src/time/timer-queue.ts';

const created: Observable<WatchMessage> = of({ type: 'created' });
const read: Observable<Fingerprint> = of({ count: 0, newest: undefined, revision: 1 });
const denied = throwError(() => new EtcdFault('permission-denied', 'etcdserver: permission denied'));

function given(watch$: Observable<WatchMessage>, fingerprint$: Observable<Fingerprint>) {
  const scheduler = new VirtualTimeScheduler();
  const timers = new TimerQueue(scheduler, () => scheduler.now());
  const watchStream = new StreamActivity(() => scheduler.now());
  const asked: number[] = [];
  const silent: number[] = [];
  const member = {
    watch$: () => {
      asked.push(scheduler.now());
      return watch$;
    },
    fingerprint$: () => fingerprint$,
  } as unknown as Member;
  const probe = new SilenceProbe({
    member,
    watchStream,
    scheduler,
    timers,
    onSilent: () => {
      silent.push(scheduler.now());
      probe.stop();
    },
  });
  watchStream.opened();
  watchStream.wrote({ create_request: { key: Buffer.from('/a/') } });
  const runTo = (ms: number): void => {
    scheduler.maxFrames = ms;
    scheduler.flush();
  };
  return { watchStream, scheduler, asked, silent, probe, runTo };
}

test('a quiet stream is asked every 15 s, and stands while it answers', () => {
  const { asked, silent, runTo } = given(created, read);
  runTo(61_000);
  expect(asked).toEqual([15_000, 30_000, 45_000, 60_000]);
  expect(silent).toEqual([]);
});

test.each([
  ['the watch stream', NEVER, read],
  ['the read beside it', created, NEVER],
])('with %s not answered the member is given up: what is live is never older than 20 s', (_, watch$, fingerprint$) => {
  const { silent, runTo } = given(watch$ as Observable<WatchMessage>, fingerprint$ as Observable<Fingerprint>);
  runTo(60_000);
  expect(silent).toEqual([20_000]);
});

test('a refusal is an answer too', () => {
  const { asked, silent, runTo } = given(denied, denied);
  runTo(31_000);
  expect(asked).toHaveLength(2);
  expect(silent).toEqual([]);
});

test('a stream on which something comes is not asked', () => {
  const { watchStream, scheduler, asked, runTo } = given(created, read);
  for (let ms = 10_000; ms <= 60_000; ms += 10_000) scheduler.schedule(() => watchStream.heard(), ms);
  runTo(62_000);
  expect(asked).toEqual([]);
});

test('a stream that is closed is not asked, and holds no timer', () => {
  const { watchStream, asked, runTo } = given(created, read);
  watchStream.closed();
  runTo(60_000);
  expect(asked).toEqual([]);
});
