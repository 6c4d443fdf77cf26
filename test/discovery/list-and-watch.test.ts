import { VirtualTimeScheduler } from 'rxjs';
import { expect, test } from 'vitest';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { FakeEtcd } from './fake-etcd.ts';

const range = { key: Uint8Array.of(107), rangeEnd: Uint8Array.of(108), namespaceBytes: 0 };

function follow(etcd: FakeEtcd, scheduler: VirtualTimeScheduler): PrefixState<string>[] {
  const states: PrefixState<string>[] = [];
  watchRange$<string>(etcd.connection, range, { scheduler, random: () => 0.5 }).subscribe((state) =>
    states.push(state),
  );
  return states;
}

function answerAll(etcd: FakeEtcd): void {
  for (const call of [...etcd.calls]) call.answer();
  for (const watch of [...etcd.watches]) watch.step(1);
}

test('a store that is compacted faster than one can watch is asked again and again, but not without a pause', () => {
  const etcd = new FakeEtcd();
  const scheduler = new VirtualTimeScheduler();
  const states = follow(etcd, scheduler);
  etcd.up();
  for (let round = 0; round < 300; round++) {
    // By the time a request arrives, its revision is gone.
    etcd.write(new Map());
    etcd.write(new Map([['k1', `value ${round}`]]));
    etcd.compact(etcd.revision);
    answerAll(etcd);
  }
  expect(scheduler.now()).toBe(0);
  expect(etcd.asked).toBeLessThan(20);
  // In peace, it is found again.
  for (let round = 0; round < 20; round++) {
    scheduler.schedule(() => undefined, 2000);
    scheduler.maxFrames = scheduler.frame + 2000;
    scheduler.flush();
    answerAll(etcd);
  }
  const last = states.at(-1);
  expect(last?.status === 'live' && [...last.snapshot]).toEqual([['k1', 'value 299']]);
});

test('one compaction now and then costs no pause', () => {
  const etcd = new FakeEtcd();
  const scheduler = new VirtualTimeScheduler();
  const states = follow(etcd, scheduler);
  etcd.write(new Map([['k1', 'one']]));
  etcd.up();
  answerAll(etcd);
  answerAll(etcd);
  etcd.down();
  etcd.write(new Map());
  etcd.write(new Map([['k2', 'two']]));
  etcd.compact(etcd.revision);
  etcd.up();
  for (let round = 0; round < 5; round++) answerAll(etcd);
  expect(scheduler.now()).toBe(0);
  expect(states.at(-1)).toMatchObject({ status: 'live', resync: 'compacted' });
});
