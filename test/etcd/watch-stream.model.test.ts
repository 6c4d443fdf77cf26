import fc from 'fast-check';
import { VirtualTimeScheduler, throwError, type Subscription } from 'rxjs';
import { expect, test } from 'vitest';
import { toFault, type EtcdFault } from '../../src/etcd/faults.ts';
import type { WatchMessage, WatchRequest, WireEvent } from '../../src/etcd/member.ts';
import { watchStream } from '../../src/etcd/watch-stream.ts';
import type { WatchResponse } from '../../src/etcd/wire/messages.ts';
import { fakeDuplex, type FakeDuplex } from './fakes.ts';

type Op =
  | { readonly do: 'subscribe'; readonly start: number; readonly catchesUp: boolean; readonly again: boolean }
  | { readonly do: 'unsubscribe' | 'finish' | 'progress' | 'late'; readonly index: number }
  | { readonly do: 'serve'; readonly refuse: boolean; readonly revision: number }
  | { readonly do: 'events'; readonly index: number; readonly revisions: readonly number[]; readonly more: boolean }
  | { readonly do: 'cancel'; readonly index: number; readonly reason: string; readonly compacted: number }
  | { readonly do: 'fail'; readonly index: number };

const index = fc.nat(5);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('subscribe' as const),
      start: fc.nat(5),
      catchesUp: fc.boolean(),
      again: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('serve' as const),
      refuse: fc.nat(4).map((n) => n === 0),
      revision: fc.nat(5),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('events' as const),
      index,
      revisions: fc.array(fc.nat(9), { maxLength: 3 }),
      more: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('unsubscribe' as const, 'progress' as const, 'late' as const), index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('cancel' as const),
      index,
      reason: fc.constantFrom('', 'etcdserver: permission denied', 'etcdserver: no leader'),
      compacted: fc.constantFrom(0, 0, 7),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('fail' as const, 'finish' as const), index }) },
);

/** What a subscriber should have been told. */
interface Expected {
  readonly request: WatchRequest;
  /** As the server numbered it; undefined until it has. */
  id: number | undefined;
  /** The create that is not answered yet. */
  create: Record<string, unknown> | undefined;
  /** Asked for once more, from one revision earlier. */
  earlier: boolean;
  readonly duplex: FakeDuplex;
  readonly told: string[];
  held: number[];
  toldRevision: number;
  open: boolean;
  /** Subscribes anew in answer to its error, as an impatient user does. */
  readonly again: boolean;
}

interface Actual {
  readonly told: string[];
  subscription: Subscription | undefined;
}

class Run {
  readonly #opened: FakeDuplex[] = [];
  readonly #faults: EtcdFault[] = [];
  #failures = 0;
  readonly #expected: Expected[] = [];
  readonly #actual: Actual[] = [];
  /** What the server of each stream has still to answer, in order. */
  readonly #served = new Map<FakeDuplex, number>();
  /** Watchers as the server has them: by stream, and also those whose cancel it has not read yet. */
  #server: { readonly duplex: FakeDuplex; readonly id: number }[] = [];
  /** A proxy numbers watches itself; etcd takes the number it is asked for. */
  readonly #numbersItself: boolean;
  #number = 0;
  readonly #watch$ = watchStream({
    open: () => {
      const duplex = fakeDuplex();
      this.#opened.push(duplex);
      return duplex;
    },
    // What a real stream has as bytes is here the response itself.
    read: (response) => response as unknown as WatchResponse,
    sort: toFault,
    refused$: (fault) => throwError(() => fault),
    onFault: (fault) => this.#faults.push(fault),
    onAnswer: () => undefined,
    scheduler: new VirtualTimeScheduler(),
    steadyNowMs: () => 0,
  });

  constructor(numbersItself: boolean) {
    this.#numbersItself = numbersItself;
  }

  apply(step: Op): void {
    const duplex = this.#opened.at(-1);
    switch (step.do) {
      case 'subscribe':
        this.#subscribe(step.start, step.catchesUp, step.again);
        break;
      case 'unsubscribe': {
        const expected = this.#open[step.index % this.#open.length];
        if (expected === undefined) break;
        expected.open = false;
        this.#actual[this.#expected.indexOf(expected)]?.subscription?.unsubscribe();
        const alone = !this.#open.some((other) => other.duplex === expected.duplex);
        expect(expected.duplex.cancelled).toBe(alone);
        // Not numbered yet, it is cancelled when it is.
        if (!alone && expected.id !== undefined)
          expect(expected.duplex.written.at(-1)).toEqual({ cancel_request: { watch_id: expected.id } });
        break;
      }
      case 'serve':
        if (duplex !== undefined) this.#serve(duplex, step.refuse, step.revision);
        break;
      case 'events': {
        const watcher = this.#server[step.index % this.#server.length];
        if (watcher !== undefined) this.#events(watcher, step.revisions, step.more);
        break;
      }
      case 'progress':
        duplex?.data(response({ watchId: -1 }));
        break;
      case 'late':
        // What still arrives on a stream that was given up is nobody's.
        this.#opened
          .find(({ cancelled }) => cancelled)
          ?.data(response({ watchId: step.index, created: true }, [eventOf(9)]));
        break;
      case 'cancel': {
        const watcher = this.#server[step.index % this.#server.length];
        if (watcher === undefined) break;
        this.#server = this.#server.filter((other) => other !== watcher);
        const kind =
          step.compacted > 0 ? 'compacted' : step.reason.includes('permission') ? 'permission-denied' : 'busy';
        this.#expectEnd(this.#find(watcher.duplex, watcher.id), kind);
        watcher.duplex.data(
          response({ watchId: watcher.id, canceled: true, cancelReason: step.reason, compactRevision: step.compacted }),
        );
        break;
      }
      case 'fail':
      case 'finish': {
        if (duplex === undefined || duplex.cancelled) break;
        this.#failures += 1;
        for (const expected of this.#open.filter((other) => other.duplex === duplex))
          this.#expectEnd(expected, 'connection');
        if (step.do === 'finish') duplex.finish();
        else duplex.fail(Object.assign(new Error('14 UNAVAILABLE'), { code: 14 }));
        break;
      }
    }
    this.check();
  }

  check(): void {
    const told = this.#actual.map((actual) => actual.told);
    const expected = this.#expected.map((model) => model.told);
    // Compared as text first: an assertion is a hundred times as slow.
    if (JSON.stringify(told) !== JSON.stringify(expected)) expect(told).toEqual(expected);
    const used = new Set(this.#open.map(({ duplex }) => duplex));
    // A stream is open exactly as long as it has a watcher, and there is one at most.
    const wrong = this.#opened.filter(
      (duplex) => duplex.ended === used.has(duplex) || duplex.cancelled === used.has(duplex),
    );
    if (wrong.length > 0 || used.size > 1 || this.#faults.length !== this.#failures) {
      expect({ wrong, used: used.size, faults: this.#faults.length }).toEqual({
        wrong: [],
        used: 1,
        faults: this.#failures,
      });
    }
  }

  end(): void {
    for (const { subscription } of this.#actual) subscription?.unsubscribe();
    for (const duplex of this.#opened) {
      expect(duplex.cancelled).toBe(true);
      const ids = duplex.written.flatMap((request) =>
        'create_request' in request ? [createOf(request).watch_id] : [],
      );
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).not.toContain(0);
    }
  }

  get #open(): Expected[] {
    return this.#expected.filter(({ open }) => open);
  }

  #subscribe(start: number, catchesUp: boolean, again: boolean): void {
    const range = { key: Uint8Array.of(97), namespaceBytes: 0 };
    const request: WatchRequest = { range, startRevision: start, catchesUp };
    const actual: Actual = { told: [], subscription: undefined };
    const place = this.#actual.push(actual) - 1;
    const subscription = this.#watch$(request).subscribe({
      next: (message: WatchMessage) =>
        actual.told.push(
          message.type === 'created' ? 'created' : message.events.map(({ modRevision }) => modRevision).join(),
        ),
      error: ({ kind }: EtcdFault) => {
        actual.told.push(kind);
        if (again) this.#subscribe(start, catchesUp, false);
      },
    });
    actual.subscription = subscription;
    const duplex = this.#opened.at(-1) as FakeDuplex;
    const written = duplex.written.at(-1) as Record<string, unknown>;
    expect(createOf(written)).toMatchObject({
      start_revision: catchesUp ? Math.max(1, start - 1) : start,
      fragment: true,
      key: request.range.key,
    });
    this.#expected[place] = {
      request,
      id: undefined,
      create: written,
      earlier: catchesUp,
      duplex,
      told: [],
      held: [],
      toldRevision: start - 1,
      open: true,
      again,
    };
  }

  /** The server reads the next request of a stream, and answers it. */
  #serve(duplex: FakeDuplex, refuse: boolean, revision: number): void {
    const at = this.#served.get(duplex) ?? 0;
    const request = duplex.written[at];
    if (request === undefined || duplex.cancelled) return;
    this.#served.set(duplex, at + 1);
    if (!('create_request' in request)) {
      const { watch_id: id } = request['cancel_request'] as { watch_id: number };
      const known = this.#server.some((watcher) => watcher.duplex === duplex && watcher.id === id);
      this.#server = this.#server.filter((watcher) => watcher.duplex !== duplex || watcher.id !== id);
      if (known) duplex.data(response({ watchId: id, canceled: true }));
      return;
    }
    const id = this.#numbersItself ? this.#number++ : createOf(request).watch_id;
    const expected = this.#open.find((other) => other.create === request);
    if (expected !== undefined) expected.create = undefined;
    if (refuse) {
      this.#expectEnd(expected, 'permission-denied');
      duplex.data(
        response({ watchId: -1, created: true, canceled: true, cancelReason: 'etcdserver: permission denied' }),
      );
      return;
    }
    this.#server.push({ duplex, id });
    if (expected !== undefined) expected.id = id;
    const start = expected?.request.startRevision ?? 0;
    const asksAgain = expected?.earlier === false && start > 1 && revision >= start;
    if (!asksAgain) expected?.told.push('created');
    duplex.data(response({ watchId: id, created: true, revision }));
    if (expected === undefined) expect(duplex.written.at(-1)).toEqual({ cancel_request: { watch_id: id } });
    if (!asksAgain) return;
    const [cancel, create] = duplex.written.slice(-2) as [Record<string, unknown>, Record<string, unknown>];
    expect(cancel).toEqual({ cancel_request: { watch_id: id } });
    expect(createOf(create)).toMatchObject({ start_revision: start - 1 });
    expected.id = undefined;
    expected.create = create;
    expected.earlier = true;
  }

  #events({ duplex, id }: { duplex: FakeDuplex; id: number }, revisions: readonly number[], more: boolean): void {
    const expected = this.#find(duplex, id);
    if (expected !== undefined && revisions.length > 0) {
      const { held } = expected;
      held.push(...revisions.filter((revision) => revision >= expected.request.startRevision));
      const rises = held.every((revision, at) => revision >= (held[at - 1] ?? expected.toldRevision + 1));
      if (!rises) this.#expectEnd(expected, 'busy');
      else {
        // A revision that the fragment ends in is not complete yet.
        const complete = more ? held.filter((revision) => revision < (held.at(-1) as number)) : [...held];
        held.splice(0, complete.length);
        if (complete.length > 0) {
          expected.toldRevision = complete.at(-1) as number;
          expected.told.push(complete.join());
        }
      }
    }
    duplex.data(response({ watchId: id, fragment: more }, revisions.map(eventOf)));
  }

  #find(duplex: FakeDuplex, id: number): Expected | undefined {
    return this.#open.find((expected) => expected.duplex === duplex && expected.id === id);
  }

  #expectEnd(expected: Expected | undefined, kind: string): void {
    if (expected === undefined) return;
    expected.open = false;
    expected.told.push(kind);
  }
}

function createOf(request: Record<string, unknown>): { watch_id: number } {
  return request['create_request'] as { watch_id: number };
}

function eventOf(modRevision: number): WireEvent {
  return { type: 'put', key: 'a', value: new Uint8Array(0), createRevision: 1, modRevision, lease: '0' };
}

function response(fields: Partial<WatchResponse>, events: readonly WireEvent[] = []): WatchResponse {
  return {
    revision: 0,
    watchId: 0,
    created: false,
    canceled: false,
    fragment: false,
    compactRevision: 0,
    cancelReason: '',
    eventCount: events.length,
    byteLength: 100,
    readEvents: (_, startRevision, into) => {
      into.push(...events.filter(({ modRevision }) => modRevision >= startRevision));
    },
    ...fields,
  };
}

test('each watcher of a stream is told its own, whole and in order, whatever happens to the others', () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 100, size: 'max' }), fc.boolean(), (ops, numbersItself) => {
      const run = new Run(numbersItself);
      for (const step of ops) run.apply(step);
      run.end();
    }),
    { numRuns: 300 },
  );
}, 60_000);
