import { readFileSync } from 'node:fs';
import { distinctUntilChanged, map, timer, type Observable } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { draw } from '../../scripts/draw-marbles.ts';
import { watchDiagrams } from '../../scripts/watch-diagrams.ts';
import type { Codec } from '../../src/codecs/codec.ts';
import { changes } from '../../src/discovery/changes.ts';
import { watchEvents$, type PrefixEvents } from '../../src/discovery/watch-events.ts';
import { watchKey$ } from '../../src/discovery/watch-key.ts';
import { watchPrefixState$ } from '../../src/discovery/watch-prefix-state.ts';
import { watchPrefix$ } from '../../src/discovery/watch-prefix.ts';
import { watchPrefixes$ } from '../../src/discovery/watch-prefixes.ts';
import type { EtcdClient } from '../../src/etcd/etcd3-client.ts';
import { marbles, shown } from '../support/marbles.ts';
import { FakeEtcd, type ServerWatch } from './fake-etcd.ts';

// The public functions themselves, on a store that is driven in virtual time: a fake is its own client here.
vi.mock('../../src/etcd/connection.ts', () => ({
  resolveClient: ({ connection }: FakeEtcd) => ({ connection, namespace: new Uint8Array() }),
}));

/** How long after a new connection the events that were missed arrive. */
const CATCH_UP_MS = 4;

const numbers: Codec<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes) => {
    const value = Number(Buffer.from(bytes).toString());
    if (Number.isNaN(value)) throw new TypeError('not a number');
    return value;
  },
};

const functions: Readonly<Record<string, (etcd: EtcdClient) => Observable<string>>> = {
  'watchPrefix$(etcd, prefix)': (etcd) => watchPrefix$(etcd, '').pipe(map(shown)),
  // How far a long list is, and that another attempt failed, is not drawn.
  'watchPrefixState$(etcd, prefix)': (etcd) =>
    watchPrefixState$(etcd, '').pipe(
      map(shown),
      distinctUntilChanged((a, b) => a === b && !a.startsWith('live')),
    ),
  "watchKey$(etcd, 'a')": (etcd) => watchKey$(etcd, 'a').pipe(map((value) => String(value))),
  "watchKey$(etcd, 'a', { codec: numbers })": (etcd) =>
    watchKey$(etcd, 'a', { codec: numbers }).pipe(map((value) => String(value))),
  'watchEvents$(etcd, prefix)': (etcd) => watchEvents$(etcd, '').pipe(map(stepText)),
  "watchPrefixes$(etcd, ['a', 'b'])": (etcd) =>
    watchPrefixes$(etcd, ['a', 'b']).pipe(map((parts) => parts.map((part) => `{${shown(part)}}`).join(' '))),
  'watchPrefix$(etcd, prefix).pipe(changes())': (etcd) =>
    watchPrefix$(etcd, '').pipe(
      changes(),
      map(({ type, key }) => `${type} ${key}`),
    ),
};

describe('the marble diagrams', () => {
  it.each(watchDiagrams)('$name shows what $operator does', ({ inputs, operator, output }) => {
    marbles(({ cold, expectObservable }) => {
      const etcd = new FakeEtcd();
      for (const { marbles, values } of inputs) {
        cold(marbles, values).subscribe(happensTo(etcd));
      }
      const run = functions[operator] as (client: unknown) => Observable<string>;
      expectObservable(run(etcd)).toBe(output.marbles, output.values);
    });
  });

  it.each(watchDiagrams)('$name is drawn as it is', (diagram) => {
    expect(readFileSync(new URL(`../../docs/marbles/${diagram.name}.svg`, import.meta.url), 'utf8')).toBe(
      draw(diagram),
    );
  });
});

/** Does to etcd what a diagram says; whatever etcd is asked, it answers at once. */
function happensTo(etcd: FakeEtcd): (what: string) => void {
  const created = new Set<ServerWatch>();
  const answerAll = (): void => {
    for (let asked = -1; asked !== etcd.asked;) {
      asked = etcd.asked;
      for (const call of [...etcd.calls]) call.answer();
      for (const watch of etcd.watches.filter((watch) => !created.has(watch))) {
        created.add(watch);
        watch.step(1);
      }
    }
  };
  const tell = (): void => {
    for (const watch of [...etcd.watches]) watch.step(Infinity);
  };
  return (what) => {
    switch (what) {
      case 'up':
        etcd.up();
        answerAll();
        timer(CATCH_UP_MS).subscribe(tell);
        break;
      case 'down':
        etcd.down();
        break;
      case 'compact':
        etcd.compact(etcd.revision);
        break;
      case 'wipe':
        etcd.restore(1);
        break;
      default:
        etcd.write(new Map(what.split(' ').map(written)));
        tell();
    }
  };
}

function written(write: string): [string, string | undefined] {
  if (write.startsWith('-')) return [write.slice(1), undefined];
  const [key, value] = write.split('=') as [string, string];
  return [key, value];
}

function stepText(step: PrefixEvents<string>): string {
  if (step.type === 'resync') return `resync ${shown(step.snapshot)} (${step.reason})`;
  return step.events.map((event) => (event.type === 'put' ? `${event.key}=${event.value}` : `-${event.key}`)).join(' ');
}
