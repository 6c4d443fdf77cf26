import { EMPTY, VirtualTimeScheduler, throwError, type Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { toFault, type EtcdFault } from '../../src/etcd/faults.ts';
import type { WatchMessage, WatchRequest } from '../../src/etcd/member.ts';
import { watchStream } from '../../src/etcd/watch-stream.ts';
import { ownFormat } from '../../src/etcd/wire/own.ts';
import { message, type Field } from '../support/wire-writer.ts';
import { fakeDuplex, grpcError, type FakeDuplex } from './fakes.ts';

interface Told {
  readonly messages: string[];
  readonly unsubscribe: () => void;
}

function streamOf(
  options: { readonly maxHeldBytes?: number; readonly refused$?: (fault: EtcdFault) => Observable<unknown> } = {},
) {
  const scheduler = new VirtualTimeScheduler();
  const opened: FakeDuplex[] = [];
  const faults: EtcdFault[] = [];
  const watch$ = watchStream({
    open: () => {
      const duplex = fakeDuplex();
      opened.push(duplex);
      return duplex;
    },
    read: (bytes) => ownFormat.watchResponse(bytes),
    sort: toFault,
    refused$: (fault) => throwError(() => fault),
    onFault: (fault) => faults.push(fault),
    onAnswer: () => undefined,
    scheduler,
    steadyNowMs: () => scheduler.frame,
    ...options,
  });
  const watch = (prefix: string, request: Partial<WatchRequest> = {}): Told => {
    const messages: string[] = [];
    const range = { key: Buffer.from(`${prefix}/`), rangeEnd: Buffer.from(`${prefix}0`), namespaceBytes: 0 };
    const subscription = watch$({ range, startRevision: 5, catchesUp: true, ...request }).subscribe({
      next: (told: WatchMessage) =>
        messages.push(
          told.type === 'created'
            ? 'created'
            : told.events.map((event) => `${event.key}@${event.modRevision}`).join(' '),
        ),
      error: ({ kind, code }: EtcdFault) => messages.push(`${kind} ${code}`),
    });
    return {
      messages,
      unsubscribe: () => {
        subscription.unsubscribe();
      },
    };
  };
  const answer = (...fields: Field[]): void => opened.at(-1)?.data(message(...fields));
  const until = (ms: number): void => {
    scheduler.maxFrames = ms;
    scheduler.flush();
    scheduler.frame = ms;
  };
  const written = (): Record<string, unknown>[] => opened.at(-1)?.written ?? [];
  return { watch, answer, until, opened, faults, written };
}

const header = (revision = 9): Field => [1, message([3, revision])];
const created = (id: number): Field[] => [header(), [2, id], [3, 1]];
const event = (key: string, revision: number): Field => [
  11,
  message([2, message([1, Buffer.from(key)], [2, revision], [3, revision])]),
];
const events = (id: number, ...list: Field[]): Field[] => [header(), [2, id], ...list];
const cancelOf = (id: number) => ({ cancel_request: { watch_id: id } });

describe('a server that numbers watches itself', () => {
  test('events go to the watch that the number in the answer is of', () => {
    const { watch, answer } = streamOf();
    const [a, b] = [watch('/a'), watch('/b')];
    // The numbers asked for are 1 and 2.
    answer(...created(0));
    answer(...created(1));
    answer(...events(0, event('/a/x', 6)));
    answer(...events(1, event('/b/x', 7)));
    expect(a.messages).toEqual(['created', '/a/x@6']);
    expect(b.messages).toEqual(['created', '/b/x@7']);
  });

  test('its own number is what a watch is cancelled by', () => {
    const { watch, answer, written } = streamOf();
    const [a] = [watch('/a'), watch('/b')];
    answer(...created(0));
    answer(...created(1));
    a.unsubscribe();
    expect(written().at(-1)).toEqual(cancelOf(0));
  });

  test('a watch that has gone before it was numbered is cancelled when it is, and nobody else is', () => {
    const { watch, answer, written } = streamOf();
    const [a, b] = [watch('/a'), watch('/b')];
    a.unsubscribe();
    expect(written()).toHaveLength(2);
    answer(...created(7));
    expect(written().at(-1)).toEqual(cancelOf(7));
    answer(...created(1));
    answer(...events(7, event('/a/x', 6)));
    answer(...events(1, event('/b/x', 6)));
    expect(a.messages).toEqual([]);
    expect(b.messages).toEqual(['created', '/b/x@6']);
  });

  test('a watch asked for once more, from one revision earlier, is the one of the later answer', () => {
    const { watch, answer, written } = streamOf();
    const a = watch('/a', { catchesUp: false });
    answer(...created(0));
    expect(written().slice(1)).toMatchObject([cancelOf(0), { create_request: { start_revision: 4 } }]);
    answer(header(), [2, 0], [4, 1]);
    answer(...created(0));
    answer(...events(0, event('/a/x', 4), event('/a/x', 5)));
    expect(a.messages).toEqual(['created', '/a/x@5']);
  });
});

describe('an answer that cannot be', () => {
  test('an event of a key outside of the range is dropped', () => {
    const { watch, answer } = streamOf();
    const a = watch('/a');
    answer(...created(1));
    answer(...events(1, event('/b/x', 6), event('/a', 6), event('/a0', 6), event('', 6), event('/a/x', 6)));
    answer(...events(1, event('/b/x', 7)));
    expect(a.messages).toEqual(['created', '/a/x@6']);
  });

  test('a number given to two watches ends the stream: nobody is told the events of another', () => {
    const { watch, answer, opened, faults } = streamOf();
    const [a, b] = [watch('/a'), watch('/a')];
    answer(...created(0));
    answer(...created(0));
    answer(...events(0, event('/a/x', 6)));
    expect(a.messages).toEqual(['created', 'connection invalid-answer']);
    expect(b.messages).toEqual(['connection invalid-answer']);
    expect([opened[0]?.cancelled, faults.length]).toEqual([true, 1]);
  });

  test.each([-1, -7])('a watch that is created under the number %i ends the stream', (id) => {
    const { watch, answer, faults } = streamOf();
    const a = watch('/a');
    answer(...created(id));
    expect(a.messages).toEqual(['connection invalid-answer']);
    expect(faults).toHaveLength(1);
  });

  test('a watch created that nobody asked for, events before it, and those of unknown watches are nobody’s', () => {
    const { watch, answer, faults } = streamOf();
    const a = watch('/a');
    answer(...events(1, event('/a/x', 6)));
    answer(...created(1));
    answer(...created(2));
    answer(...events(2, event('/a/x', 6)));
    answer(header(), [2, 77], [4, 1]);
    answer(header(), [2, -1n]);
    expect(a.messages).toEqual(['created']);
    expect(faults).toEqual([]);
  });

  test('events whose revisions fall or repeat end that watch, to be resumed: nothing is told twice, or lost', () => {
    const { watch, answer, written } = streamOf();
    const [a, b] = [watch('/a'), watch('/b')];
    answer(...created(1));
    answer(...created(2));
    answer(...events(1, event('/a/x', 6), event('/a/y', 8)));
    answer(...events(1, event('/a/z', 7)));
    expect(a.messages).toEqual(['created', '/a/x@6 /a/y@8', 'busy invalid-answer']);
    expect(written().at(-1)).toEqual(cancelOf(1));
    answer(...events(1, event('/a/z', 9)));
    answer(...events(2, event('/b/x', 8)));
    expect(b.messages).toEqual(['created', '/b/x@8']);
    answer(...events(2, event('/b/x', 8)));
    expect(b.messages.at(-1)).toBe('busy invalid-answer');
  });

  test('a create that is never answered ends the stream after a bound, whatever else is told on it', () => {
    const { watch, answer, until, faults } = streamOf();
    const a = watch('/a');
    answer(...created(1));
    const b = watch('/b');
    for (let ms = 0; ms <= 11_000; ms += 500) {
      until(ms);
      answer(...events(1, event('/a/x', 6 + ms)));
    }
    expect(b.messages).toEqual(['connection timeout']);
    expect(a.messages.at(-1)).toBe('connection timeout');
    expect(faults.map(({ code }) => code)).toEqual(['timeout']);
  });

  test('creates answered one after another are no silence', () => {
    const { watch, answer, until, faults } = streamOf();
    const all = Array.from({ length: 20 }, (_, index) => watch(`/${index}`));
    for (let id = 0; id < 20; id++) {
      until(id * 3000);
      answer(...created(id));
    }
    until(100_000);
    expect(all.every(({ messages }) => messages.join() === 'created')).toBe(true);
    expect(faults).toEqual([]);
  });

  test('fragments that never end are held up to a bound; then the range is to be listed again', () => {
    const { watch, answer, written } = streamOf({ maxHeldBytes: 50_000 });
    const [a] = [watch('/a'), watch('/b')];
    answer(...created(1));
    let fragments = 0;
    while (a.messages.length < 2 && fragments < 10_000) {
      answer(...events(1, event(`/a/${String(fragments).padStart(500, '0')}`, 6)), [7, 1]);
      fragments += 1;
    }
    expect(a.messages).toEqual(['created', 'compacted compacted']);
    expect(fragments).toBeLessThan(120);
    expect(written().at(-1)).toEqual(cancelOf(1));
  });

  test('a revision is told whole, and as soon as a fragment shows that it is complete', () => {
    const { watch, answer } = streamOf({ maxHeldBytes: 5000 });
    const a = watch('/a');
    answer(...created(1));
    for (let revision = 6; revision < 100; revision++) {
      answer(...events(1, event('/a/y', revision), event('/a/x', revision + 1)), [7, 1]);
    }
    answer(...events(1, event('/a/z', 100)));
    expect(a.messages.slice(1, 4)).toEqual(['/a/y@6', '/a/x@7 /a/y@7', '/a/x@8 /a/y@8']);
    expect(a.messages.at(-1)).toBe('/a/x@100 /a/z@100');
  });

  test('bytes that are no message end the stream, as one fault of the member', () => {
    const { watch, opened, faults } = streamOf();
    const a = watch('/a');
    opened[0]?.data(Buffer.alloc(20, 0xff));
    expect(a.messages).toEqual(['connection invalid-answer']);
    expect(faults).toHaveLength(1);
  });
});

describe('one request that ends the stream of all', () => {
  test('because it is too large fails alone, and the others go on over another stream, from where they were', () => {
    const { watch, answer, opened, faults, written } = streamOf();
    const a = watch('/a');
    answer(...created(1));
    answer(...events(1, event('/a/x', 8)));
    const large = watch(`/${'x'.repeat(1000)}`);
    const b = watch('/b');
    opened[0]?.fail(grpcError(8, 'grpc: received message larger than max (2200000 vs. 2097152)'));
    expect(large.messages).toEqual(['invalid-request unavailable']);
    expect(opened).toHaveLength(2);
    expect(written()).toMatchObject([
      { create_request: { key: Buffer.from('/a/'), start_revision: 8 } },
      { create_request: { key: Buffer.from('/b/'), start_revision: 4 } },
    ]);
    answer(...created(1));
    answer(...created(2));
    answer(...events(1, event('/a/x', 8), event('/a/x', 9)));
    expect(a.messages).toEqual(['created', '/a/x@8', '/a/x@9']);
    expect(b.messages).toEqual(['created']);
    expect(faults).toEqual([]);
  });

  test('with nothing unanswered speaks against the member, and never ends all for good', () => {
    const { watch, answer, opened, faults } = streamOf();
    const a = watch('/a');
    answer(...created(1));
    opened[0]?.fail(grpcError(7, 'etcdserver: permission denied'));
    expect(a.messages).toEqual(['created', 'connection unavailable']);
    expect(faults.map(({ kind }) => kind)).toEqual(['connection']);
  });
});

describe('a watch refused because the token of its stream has expired', () => {
  const refused = (reason: string): Field[] => [header(), [2, -1n], [3, 1], [4, 1], [6, Buffer.from(reason)]];

  test('is asked for on another stream, while older watches stay where they are', () => {
    const { watch, answer, opened, faults } = streamOf({ refused$: () => EMPTY });
    const a = watch('/a');
    answer(...created(1));
    const b = watch('/b');
    opened[0]?.data(message(...refused('etcdserver: permission denied')));
    expect(opened).toHaveLength(2);
    opened[1]?.data(message(...created(0)));
    opened[1]?.data(message(...events(0, event('/b/x', 6))));
    opened[0]?.data(message(...events(1, event('/a/x', 6))));
    expect([a.messages, b.messages]).toEqual([
      ['created', '/a/x@6'],
      ['created', '/b/x@6'],
    ]);
    a.unsubscribe();
    expect(opened.map(({ cancelled }) => cancelled)).toEqual([true, false]);
    b.unsubscribe();
    expect(opened.map(({ cancelled }) => cancelled)).toEqual([true, true]);
    expect(faults).toEqual([]);
  });

  test('and refused there too is retried later, not at once without an end', () => {
    const { watch, opened } = streamOf({ refused$: () => EMPTY });
    const a = watch('/a');
    for (let times = 0; times < 10; times++) {
      opened.at(-1)?.data(message(...refused('etcdserver: permission denied')));
    }
    expect(a.messages).toEqual(['busy token-expired']);
    expect(opened).toHaveLength(2);
  });

  test('or because users were just changed is looked at again', () => {
    const { watch, opened } = streamOf({ refused$: () => EMPTY });
    const a = watch('/a');
    opened[0]?.data(message(...refused('etcdserver: revision of auth store is old')));
    opened[1]?.data(message(...created(0)));
    expect(a.messages).toEqual(['created']);
  });
});
