import fc from 'fast-check';
import { VirtualTimeScheduler, asapScheduler, defer, of, subscribeOn, throwError, type Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { EtcdFault, toFault } from '../../src/etcd/faults.ts';
import { grpcMember } from '../../src/etcd/grpc-member.ts';
import { keepAliveStream } from '../../src/etcd/keepalive-stream.ts';
import { prefixEnd } from '../../src/etcd/keys.ts';
import { listPages$, type RangeCall } from '../../src/etcd/list-pages.ts';
import type { KeyRange } from '../../src/etcd/member.ts';
import { watchStream } from '../../src/etcd/watch-stream.ts';
import { unreadable } from '../../src/etcd/wire/messages.ts';
import { ownFormat } from '../../src/etcd/wire/own.ts';
import { message, type Field } from '../support/wire-writer.ts';
import { ownMethods } from '../../src/etcd/wire/methods.ts';
import { fakeClient, fakeDuplex, type FakeDuplex } from './fakes.ts';

/**
 * Answers that are bytes of no message, and answers that are well-formed and lie: 100 000 of the first, and 24 000 of the
 * second. `LYING_ANSWERS=10 npx vitest run --project unit test/etcd/lying-answers.test.ts` makes ten times as many.
 */
const TIMES = Number(process.env['LYING_ANSWERS'] ?? 1);
const MALFORMED_RUNS = 1250 * TIMES;
const LYING_RUNS = 300 * TIMES;
const ANSWERS_A_RUN = 20;

const range: KeyRange = { key: Buffer.from('/s/'), rangeEnd: prefixEnd(Buffer.from('/s/')), namespaceBytes: 0 };

const anyKey = fc.constantFrom('/s/1', '/s/2', '/s/3', '/s/', '/t/1', '/s0', '', '\xff');
const anyInt = fc.oneof(fc.integer({ min: -2, max: 12 }), fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 31n));
const anyKeyValue = fc
  .record({ key: anyKey, created: anyInt, modified: anyInt })
  .map(({ key, created, modified }) =>
    message([1, Buffer.from(key, 'latin1')], [2, BigInt(created)], [3, BigInt(modified)], [5, Buffer.from('v')]),
  );
const header = (revision: number | bigint): Field => [1, message([3, BigInt(revision)])];
const flag = fc.constantFrom(0, 0, 1);

const watchAnswer = fc
  .record({
    revision: anyInt,
    id: anyInt,
    created: flag,
    canceled: flag,
    compacted: fc.constantFrom(0, 0, 0, 7),
    reason: fc.constantFrom('', 'etcdserver: no leader', 'etcdserver: revision of auth store is old', 'nonsense'),
    fragment: flag,
    events: fc.array(anyKeyValue, { maxLength: 4 }),
  })
  .map(({ revision, id, created, canceled, compacted, reason, fragment, events }) =>
    message(
      header(revision),
      [2, BigInt(id)],
      [3, created],
      [4, canceled],
      [5, compacted],
      [6, Buffer.from(reason)],
      [7, fragment],
      ...events.map((kv): Field => [11, message([2, kv])]),
    ),
  );
const rangeAnswer = fc
  .record({ revision: anyInt, entries: fc.array(anyKeyValue, { maxLength: 4 }), more: flag, count: anyInt })
  .map(({ revision, entries, more, count }) =>
    message(header(revision), ...entries.map((kv): Field => [2, kv]), [3, more], [4, BigInt(count)]),
  );
const renewalAnswer = fc
  .record({ id: fc.constantFrom(1, 2, 3, -1), ttl: anyInt })
  .map(({ id, ttl }) => message([2, BigInt(id)], [3, BigInt(ttl)]));
const grantAnswer = fc
  .record({ id: fc.constantFrom(7, 8, -7), ttl: anyInt, error: fc.constantFrom('', '', 'nonsense') })
  .map(({ id, ttl, error }) => message(header(1), [2, BigInt(id)], [3, BigInt(ttl)], [4, Buffer.from(error)]));
const txnAnswer = fc
  .record({
    revision: anyInt,
    succeeded: flag,
    responses: fc.array(fc.oneof(rangeAnswer, fc.constant(undefined)), { maxLength: 3 }),
  })
  .map(({ revision, succeeded, responses }) =>
    message(
      header(revision),
      [2, succeeded],
      ...responses.map((answer): Field => [3, answer === undefined ? message([2, message()]) : message([1, answer])]),
    ),
  );

/** Cut, changed or random bytes. */
const malformed = (of$: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(of$, fc.nat(), fc.nat({ max: 255 })).map(([bytes, at, byte]) => {
      const changed = Buffer.from(bytes);
      if (changed.length > 0) changed[at % changed.length] = byte;
      return changed;
    }),
    fc.tuple(of$, fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % (bytes.length + 1))),
  );

/** Each kind of answer, lying and malformed. */
const kinds: [
  string,
  (answer: (of$: fc.Arbitrary<Buffer>) => fc.Arbitrary<Buffer>, numRuns: number) => Promise<void> | void,
][] = [
  [
    'watch',
    (answer, numRuns) => {
      check(fc.array(answer(watchAnswer), { minLength: ANSWERS_A_RUN, maxLength: ANSWERS_A_RUN }), numRuns, watchWith);
    },
  ],
  [
    'renewals',
    (answer, numRuns) => {
      check(
        fc.array(answer(renewalAnswer), { minLength: ANSWERS_A_RUN, maxLength: ANSWERS_A_RUN }),
        numRuns,
        renewWith,
      );
    },
  ],
  [
    'lists',
    (answer, numRuns) =>
      fc.assert(
        fc.asyncProperty(
          fc.array(answer(rangeAnswer), { minLength: ANSWERS_A_RUN, maxLength: ANSWERS_A_RUN }),
          listWith,
        ),
        { numRuns },
      ),
  ],
  [
    'grants and transactions',
    (answer, numRuns) => {
      const of$ = answer(fc.oneof(grantAnswer, txnAnswer));
      check(fc.array(of$, { minLength: ANSWERS_A_RUN, maxLength: ANSWERS_A_RUN }), numRuns, callWith);
    },
  ],
];

function check<T>(arbitrary: fc.Arbitrary<T>, numRuns: number, property: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, property), { numRuns });
}

describe.each(kinds)('%s', (_, run) => {
  test('bytes that are no message: nothing wrong is told, and the requests are few', async () => {
    await run(malformed, MALFORMED_RUNS);
  }, 300_000);

  test('well-formed answers that lie: nothing wrong is told, and the requests are few', async () => {
    await run((of$) => of$, LYING_RUNS);
  }, 300_000);
});

function watchWith(answers: readonly Buffer[]): void {
  const scheduler = new VirtualTimeScheduler();
  const opened: FakeDuplex[] = [];
  const watch$ = watchStream({
    open: () => {
      const duplex = fakeDuplex();
      opened.push(duplex);
      return duplex;
    },
    read: (bytes) => ownFormat.watchResponse(bytes),
    sort: toFault,
    refused$: (fault) => throwError(() => fault),
    onFault: () => undefined,
    onAnswer: () => undefined,
    scheduler,
    steadyNowMs: () => scheduler.frame,
  });
  const subscriptions = [5, 2, 1].map((startRevision) => {
    let told = startRevision - 1;
    let created = 0;
    return watch$({ range, startRevision }).subscribe({
      next: (answer) => {
        if (answer.type === 'created') {
          created += 1;
          expect(created).toBe(1);
          return;
        }
        expect(created).toBe(1);
        expect(answer.events.length).toBeGreaterThan(0);
        let last = told + 1;
        for (const { key, modRevision } of answer.events) {
          if (!key.startsWith('/s/') || modRevision < last) expect([key, modRevision]).toEqual(['/s/', last]);
          last = modRevision;
        }
        told = last;
      },
      error: (error: unknown) => {
        expect(error).toBeInstanceOf(EtcdFault);
      },
    });
  });
  for (const bytes of answers) opened.at(-1)?.data(bytes);
  scheduler.maxFrames = 60_000;
  scheduler.flush();
  // Answered or not: after a minute nothing waits in silence for its answer.
  const requests = opened.reduce((sum, { written }) => sum + written.length, 0);
  expect(requests).toBeLessThanOrEqual(3 * ANSWERS_A_RUN);
  for (const subscription of subscriptions) subscription.unsubscribe();
  expect(opened.every(({ cancelled }) => cancelled)).toBe(true);
}

function renewWith(answers: readonly Buffer[]): void {
  const scheduler = new VirtualTimeScheduler();
  const opened: FakeDuplex[] = [];
  const keepAlive$ = keepAliveStream({
    open: () => {
      const duplex = fakeDuplex();
      opened.push(duplex);
      return duplex;
    },
    sort: toFault,
    renewToken$: () => of('new'),
    onFault: () => undefined,
    onAnswer: () => undefined,
    scheduler,
    steadyNowMs: () => scheduler.frame,
    random: () => 0.5,
  });
  const subscriptions = ['1', '2'].map((id) =>
    keepAlive$(id, 9, 0).subscribe({
      next: ({ ttlSeconds, sentAtMs }) => {
        expect(ttlSeconds > 0 && ttlSeconds <= 9 && sentAtMs <= scheduler.frame).toBe(true);
      },
      error: (error: unknown) => {
        expect(error).toBeInstanceOf(EtcdFault);
      },
    }),
  );
  for (const [index, bytes] of answers.entries()) {
    scheduler.maxFrames = (index + 1) * 1000;
    scheduler.flush();
    const stream = opened.at(-1);
    if (stream === undefined || stream.cancelled) continue;
    let answer: unknown;
    try {
      answer = ownFormat.keepAliveResponse(bytes);
    } catch (error) {
      // As grpc does with bytes that cannot be read.
      stream.fail(error);
      continue;
    }
    stream.data(answer);
  }
  // A TTL of a second is the shortest there is: three renewals in each, of two leases.
  const requests = opened.reduce((sum, { written }) => sum + written.length, 0);
  expect(requests).toBeLessThanOrEqual(2 * 4 * ANSWERS_A_RUN);
  for (const subscription of subscriptions) subscription.unsubscribe();
  expect(opened.every(({ cancelled }) => cancelled)).toBe(true);
}

async function listWith(answers: readonly Buffer[]): Promise<void> {
  let asked = 0;
  const range$: RangeCall = (_, read) =>
    defer(() => {
      const bytes = answers[asked % answers.length] as Buffer;
      asked += 1;
      expect(asked).toBeLessThan(1000);
      try {
        return of(read(ownFormat.rangeResponse(bytes)));
      } catch (error) {
        return throwError(() => unreadable('range response', error));
      }
    }).pipe(subscribeOn(asapScheduler));
  const keys: string[] = [];
  let revision: number | undefined;
  await new Promise<void>((resolve) => {
    listPages$(range$, range, 0, { firstEntries: 3, maxEntries: 3, bytes: 1e6 }).subscribe({
      next: (page) => {
        revision ??= page.revision;
        expect(page.revision).toBe(revision);
        for (const { key, createRevision, modRevision } of page.entries) {
          expect(key.startsWith('/s/') && createRevision > 0 && createRevision <= modRevision).toBe(true);
          expect(modRevision).toBeLessThanOrEqual(revision);
          keys.push(key);
        }
      },
      error: (error: unknown) => {
        expect(error).toBeInstanceOf(EtcdFault);
        resolve();
      },
      complete: resolve,
    });
  });
  expect(keys).toEqual([...new Set(keys)].sort());
}

function callWith(answers: readonly Buffer[]): void {
  let asked = 0;
  const read = (path: string, bytes: Buffer) => {
    const method = path.endsWith('LeaseGrant') ? ownMethods.leaseGrant : ownMethods.txn;
    try {
      return { answer: method.responseDeserialize(bytes) };
    } catch (error) {
      return { error: Object.assign(new Error(`Error parsing response: ${String(error)}`), { code: 13 }) };
    }
  };
  const member = grpcMember({
    host: 'fake:2379',
    client: fakeClient((path) => read(path, answers[asked++ % answers.length] as Buffer), fakeDuplex),
    methods: ownMethods,
    scheduler: new VirtualTimeScheduler(),
    random: () => 0.5,
    token: () => undefined,
    renewToken$: () => of(undefined),
    onFault: () => undefined,
    onAnswer: () => undefined,
  });
  const settled = <T>(call$: Observable<T>, isRight: (value: T) => boolean): void => {
    let ended = false;
    call$.subscribe({
      next: (value) => {
        expect(isRight(value)).toBe(true);
      },
      error: (error: unknown) => {
        ended = true;
        expect(error).toBeInstanceOf(EtcdFault);
      },
      complete: () => {
        ended = true;
      },
    });
    expect(ended).toBe(true);
  };
  const operations = [{ type: 'get', range } as const, { type: 'delete', key: range.key } as const];
  for (let call = 0; call < answers.length; call += 2) {
    settled(member.grant$(10, '7'), ({ leaseId, ttlSeconds }) => leaseId === '7' && ttlSeconds > 0);
    settled(member.txn$({ when: [], then: operations, otherwise: operations }), ({ revision, results }) => {
      const entries = results.flat();
      return (
        revision > 0 &&
        results.length === 2 &&
        entries.every(({ key, modRevision }) => key.startsWith('/s/') && modRevision <= revision)
      );
    });
  }
  expect(asked).toBe(answers.length);
}
