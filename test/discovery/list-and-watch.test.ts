import { NEVER, Observable, concat, of, throwError } from 'rxjs';
import { expect, test } from 'vitest';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import { EtcdFault, type FaultKind } from '../../src/etcd/faults.ts';
import type { Member, WatchMessage } from '../../src/etcd/member.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { FakeEtcd } from './fake-etcd.ts';

const range = { key: Uint8Array.of(107), rangeEnd: Uint8Array.of(108), namespaceBytes: 0 };

function follow(etcd: FakeEtcd, scheduler: VirtualTime): PrefixState<string>[] {
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
  const scheduler = new VirtualTime();
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
  expect(states.at(-1)?.status).toBe('stale');
  // Left alone, it is found again.
  for (let round = 0; round < 20; round++) {
    scheduler.advance(2000);
    answerAll(etcd);
  }
  const last = states.at(-1);
  expect(last?.status === 'live' && [...last.snapshot]).toEqual([['k1', 'value 299']]);
});

test('one compaction now and then costs no pause', () => {
  const etcd = new FakeEtcd();
  const scheduler = new VirtualTime();
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

/** A member that lists one key at once, and treats every watch alike. */
function listing(watch$: Observable<WatchMessage>): { readonly member: Member; readonly asked: () => number } {
  let asked = 0;
  const entry = { key: 'k1', value: Buffer.from('one'), createRevision: 5, modRevision: 5, lease: '0' };
  const answer = <R>(value: R): Observable<R> =>
    new Observable((subscriber) => {
      asked += 1;
      subscriber.next(value);
      subscriber.complete();
    });
  const member: Partial<Member> = {
    host: 'lying',
    list$: () => answer({ entries: [entry], revision: 5 }),
    fingerprint$: () => answer({ count: 1, newest: entry, revision: 5 }),
    watch$: () => watch$,
  };
  return { member: member as Member, asked: () => asked };
}

function statesOf(member: Member, forMs: number, maxRetries = Infinity): PrefixState<string>[] {
  const scheduler = new VirtualTime();
  const states: PrefixState<string>[] = [];
  watchRange$<string>(concatForever({ status: 'up', member }), range, {
    scheduler,
    random: () => 0.5,
    maxRetries,
  }).subscribe({ next: (state) => states.push(state), error: () => undefined });
  scheduler.runTo(forMs);
  return states;
}

function concatForever(state: { status: 'up'; member: Member }): { member$: Observable<typeof state> } {
  return { member$: concat(of(state), NEVER) };
}

const refused = (kind: FaultKind): Observable<never> => throwError(() => new EtcdFault(kind, `refused: ${kind}`));

test.each([
  ['refuses every watch as one of a future revision', refused('future-revision')],
  [
    'creates every watch, and then says that its revision is of the future',
    concat(of({ type: 'created' as const }), refused('future-revision')),
  ],
  ['refuses every watch as compacted', refused('compacted')],
  [
    'creates every watch, and then says that it is compacted',
    concat(of({ type: 'created' as const }), refused('compacted')),
  ],
  ['creates every watch, and cancels it', concat(of({ type: 'created' as const }), refused('busy'))],
])('a server that %s is asked about once a second, and the state is not always live', (_, watch$) => {
  const { member, asked } = listing(watch$);
  const states = statesOf(member, 60_000);
  expect(asked()).toBeLessThan(150);
  expect(states.filter(({ status }) => status === 'stale').length).toBeGreaterThan(20);
});

test('a watch that is created and cancelled again and again comes to an end under maxRetries', () => {
  const { member } = listing(concat(of({ type: 'created' as const }), refused('busy')));
  const states = statesOf(member, 60_000, 5);
  expect(states.filter(({ status }) => status === 'stale')).toHaveLength(5);
});

test('a function onRejected that throws ends its stream with an error, and nothing is thrown elsewhere', () => {
  const { member } = listing(NEVER);
  const thrown = new Error('from the callback');
  const errors: unknown[] = [];
  watchRange$<string>(concatForever({ status: 'up', member }), range, {
    codec: {
      encode: (value) => Buffer.from(value),
      decode: () => {
        throw new Error('unreadable');
      },
    },
    onRejected: () => {
      throw thrown;
    },
  }).subscribe({ error: (error: unknown) => errors.push(error) });
  expect(errors).toMatchObject([{ code: 'callback-failed', cause: thrown }]);
});
