import { Subject, VirtualTimeScheduler, config } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { json } from '../../src/codecs/json.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { Snapshot } from '../../src/discovery/snapshot.ts';
import { remember, type RememberOptions } from '../../src/steadiness/remember.ts';
import type { SnapshotStore } from '../../src/steadiness/snapshot-store.ts';
import { cause, live, pending, shown, snapshot, stale } from '../support/marbles.ts';

describe('remember', () => {
  it('shows what is stored as stale, since it was saved, until etcd has answered', async () => {
    const { source, states, settled } = await started(memoryStore(stored('a=1')));
    source.next(pending());
    source.next(pending(1));
    await settled();
    source.next(live('b'));
    source.next(stale('b'));
    expect(states.map(shown)).toEqual(['stale a=1', 'stale a=1', 'stale a=1', 'live b', 'stale b']);
    expect(states[1]).toMatchObject({ sinceMs: 1700, attempt: 0, cause: { code: 'stale' } });
    expect(states[2]).toMatchObject({ sinceMs: 1700, attempt: 1, cause });
  });

  it('shows it as soon as it is loaded, when the source came first', async () => {
    const { source, states, settled } = await started(memoryStore(stored('a')), {}, (source) => {
      source.next(pending(2));
    });
    await settled();
    expect(states.map(shown)).toEqual(['pending', 'stale a']);
    expect(states[1]).toMatchObject({ attempt: 2, cause });
    source.complete();
  });

  it('does not show it after etcd has answered, be it with nothing', async () => {
    const errors: Error[] = [];
    const onStoreError = (error: Error): number => errors.push(error);
    const { states } = await started(memoryStore(stored('a')), { onStoreError }, (source) => {
      source.next(live(''));
    });
    expect(states.map(shown)).toEqual(['live']);
    expect(errors).toEqual([]);
  });

  it('passes everything as it is when nothing is stored', async () => {
    const { source, states } = await started(memoryStore());
    source.next(pending());
    source.next(live('a'));
    expect(states.map(shown)).toEqual(['pending', 'live a']);
  });

  it('saves the first at once, and then the latest after a pause, and none twice', async () => {
    const store = memoryStore();
    const { source, scheduler, settled } = await started(store);
    const b = snapshot('b');
    source.next(live('a'));
    source.next(live('x'));
    source.next(live(b));
    await settled();
    expect(store.saved.map(keysIn)).toEqual(['a']);
    scheduler.flush();
    await settled();
    expect(store.saved.map(keysIn)).toEqual(['a', 'b']);
    source.next(stale(b));
    source.next(live(b));
    scheduler.flush();
    await settled();
    expect(store.saved).toHaveLength(2);
    source.next(live('c'));
    await settled();
    expect(store.saved.map(keysIn)).toEqual(['a', 'b', 'c']);
  });

  it('saves one at a time, however long it takes', async () => {
    const store = memoryStore();
    let finish = (): void => undefined;
    const slow: SnapshotStore = {
      load: store.load,
      save: (text) => new Promise((resolve) => (finish = () => void store.save(text).then(resolve))),
    };
    const { source, scheduler, settled } = await started(slow);
    source.next(live('a'));
    source.next(live('b'));
    scheduler.flush();
    await settled();
    expect(store.saved).toEqual([]);
    finish();
    await settled();
    scheduler.flush();
    finish();
    await settled();
    expect(store.saved.map(keysIn)).toEqual(['a', 'b']);
  });

  it('saves nothing of what is only stale, and nothing more when it is unsubscribed', async () => {
    const store = memoryStore();
    const { source, scheduler, subscription, settled } = await started(store);
    source.next(stale('a'));
    await settled();
    expect(store.saved).toEqual([]);
    source.next(live('b'));
    source.next(live('c'));
    await settled();
    subscription.unsubscribe();
    scheduler.flush();
    await settled();
    expect(store.saved.map(keysIn)).toEqual(['b']);
  });

  it('reads what it wrote, of any codec, any bytes and any key', async () => {
    const store = memoryStore();
    const raw = { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => Uint8Array.from(bytes) };
    const first = await started<Uint8Array>(store, { codec: raw });
    const bytes = [Uint8Array.of(0xff, 0x00), Uint8Array.of(), Uint8Array.from(Buffer.from('\uFEFF小王'))];
    const hosts = Snapshot.of(
      bytes.map((value, index): [string, Uint8Array] => [`k\udc80/${index}`, value]),
      42,
    );
    first.source.next({ status: 'live', snapshot: hosts, rejected: new Map() });
    await first.settled();
    const second = await started<Uint8Array>(memoryStore(store.saved[0]), { codec: raw });
    const state = second.states[0] as Extract<PrefixState<Uint8Array>, { status: 'stale' }>;
    expect([...state.snapshot]).toEqual([...hosts]);
    expect(state.snapshot.revision).toBe(42);
  });

  it('leaves out what the codec refuses, and keeps the others', async () => {
    const { states } = await started(memoryStore(stored('a=1 b={')), { codec: json() as never });
    expect(states.map(shown)).toEqual(['stale a=1']);
  });

  it.each(['', '{', 'null', '{"version":2}', '{"version":1,"savedAtMs":1,"revision":1,"entries":[{"key":"a"}]}'])(
    'reports %j, which it cannot read, and goes on',
    async (text) => {
      const errors: Error[] = [];
      const { source, states } = await started(memoryStore(text), { onStoreError: (error) => errors.push(error) });
      source.next(live('a'));
      expect(errors.map((error) => error.message)).toEqual([expect.stringContaining('cannot load the snapshot: ')]);
      expect(states.map(shown)).toEqual(['live a']);
    },
  );

  it('reports a store that fails, whatever way, and a codec that cannot write, and goes on saving', async () => {
    const errors: Error[] = [];
    let saves = 0;
    const failing: SnapshotStore = {
      load: () => {
        throw new Error('no load');
      },
      save: () => {
        saves += 1;
        return Promise.reject(new Error('no space'));
      },
    };
    const codec = {
      encode: (value: string) => {
        if (value === 'bad') throw new Error('not this');
        return Buffer.from(value);
      },
      decode: () => undefined,
    };
    const { source, scheduler, settled, states } = await started(failing, {
      codec,
      onStoreError: (error) => errors.push(error),
    });
    for (const entries of ['a', 'bad', 'c']) {
      source.next(live(entries));
      await settled();
      scheduler.flush();
      await settled();
    }
    expect(errors.map((error) => error.message)).toEqual([
      'cannot load the snapshot: no load',
      'cannot save the snapshot: no space',
      'left out of the saved snapshot: a value that the codec cannot write: "bad": not this',
      'cannot save the snapshot: no space',
      'cannot save the snapshot: no space',
    ]);
    expect(saves).toBe(3);
    expect(states).toHaveLength(3);
  });

  it('saves the others when the codec can read a value and not write it: none was saved, ever', async () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const store = memoryStore();
    const errors: Error[] = [];
    const { source, settled, scheduler } = await started<unknown>(store, {
      codec: json(),
      onStoreError: (error) => errors.push(error),
    });
    for (const revision of [1, 2]) {
      const hosts = Snapshot.of<unknown>(
        [
          ['a', JSON.parse(deep)],
          ['b', revision],
        ],
        revision,
      );
      source.next({ status: 'live', snapshot: hosts, rejected: new Map() });
      await settled();
      scheduler.flush();
    }
    expect(store.saved.map(keysIn)).toEqual(['b', 'b']);
    expect(errors.map((error) => error.message)).toEqual([
      expect.stringMatching(/^left out of the saved snapshot: a value that the codec cannot write: "a": /),
    ]);
  });

  it('shows what was saved in the future as saved now: a clock that was set back made it young for as long', async () => {
    const { source, states, settled } = await started(memoryStore(stored('a').replace('1700', '9e15')));
    source.next(pending());
    await settled();
    expect(states.at(-1)).toMatchObject({ status: 'stale', sinceMs: 5000 });
  });

  it('a store and a listener that throw do not end the stream', async () => {
    const unhandled: unknown[] = [];
    config.onUnhandledError = (error) => void unhandled.push(error);
    const { source, states } = await started(memoryStore('{'), {
      onStoreError: () => {
        throw new Error('swallowed here');
      },
    });
    source.next(live('a'));
    expect(states.map(shown)).toEqual(['live a']);
    await vi.waitFor(() => expect(unhandled).toEqual([new Error('swallowed here')]));
    config.onUnhandledError = null;
  });

  it('refuses what is no store and what is no duration', () => {
    expect(() => remember({} as SnapshotStore)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => remember(memoryStore(), { saveEveryMs: -1 })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});

function memoryStore(text?: string): SnapshotStore & { readonly saved: string[] } {
  const saved: string[] = [];
  return {
    saved,
    load: () => Promise.resolve(saved.at(-1) ?? text),
    save: (next) => {
      saved.push(next);
      return Promise.resolve();
    },
  };
}

function stored(entries: string): string {
  const list = [...snapshot(entries)].map(([key, text]) => ({ key, text }));
  return JSON.stringify({ version: 1, savedAtMs: 1700, revision: 3, entries: list });
}

function keysIn(text: string): string {
  return (JSON.parse(text) as { entries: { key: string }[] }).entries.map(({ key }) => key).join(' ');
}

/** Subscribes, and waits until the store has answered. `first` runs before that. */
async function started<T = string>(
  store: SnapshotStore,
  options: RememberOptions<T> = {},
  first: (source: Subject<PrefixState<T>>) => void = () => undefined,
) {
  const scheduler = new VirtualTimeScheduler();
  scheduler.frame = 5000;
  const source = new Subject<PrefixState<T>>();
  const states: PrefixState<T>[] = [];
  const subscription = source
    .pipe(remember<T>(store, { scheduler, ...options }))
    .subscribe((state) => states.push(state));
  // A turn of the event loop: all promises that are settled have been followed.
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  first(source);
  await settled();
  return { source, states, scheduler, subscription, settled };
}
