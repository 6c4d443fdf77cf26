import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { watchEvents$, watchPrefixes$, type Codec, type PrefixEvents, type Snapshot } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startProxy } from '../support/tcp-proxy.ts';

let server: EtcdServer;
let etcd: Etcd3;

beforeAll(async () => {
  server = await startEtcd();
  etcd = new Etcd3({ hosts: [server.clientUrl] });
});

afterAll(async () => {
  etcd.close();
  await server.stop();
});

const put = async (key: string, value: string): Promise<number> =>
  Number((await etcd.put(key).value(value)).header.revision);

test('every revision is one emission, with the previous values, from a given revision on', async () => {
  const first = await put('e/a', '1');
  await put('elsewhere', 'x');
  await put('e/a', '2');
  await put('e/a', '2');
  await etcd.stm().transact((tx) => Promise.all([tx.put('e/b').value('3'), tx.delete().key('e/a')]));
  const steps: PrefixEvents<string>[] = [];
  const subscription = watchEvents$(etcd, 'e/', { fromRevision: first }).subscribe((step) => steps.push(step));
  await eventually(() => steps.length === 4);
  await etcd.delete().key('e/b');
  await eventually(() => steps.length === 5);
  subscription.unsubscribe();
  expect(steps).toEqual([
    { type: 'events', revision: first, events: [{ type: 'put', key: 'e/a', value: '1', previous: undefined }] },
    { type: 'events', revision: first + 2, events: [{ type: 'put', key: 'e/a', value: '2', previous: '1' }] },
    { type: 'events', revision: first + 3, events: [{ type: 'put', key: 'e/a', value: '2', previous: '2' }] },
    {
      type: 'events',
      revision: first + 4,
      events: [
        { type: 'delete', key: 'e/a', previous: '2' },
        { type: 'put', key: 'e/b', value: '3', previous: undefined },
      ],
    },
    { type: 'events', revision: first + 5, events: [{ type: 'delete', key: 'e/b', previous: '3' }] },
  ]);
});

test('without a revision it begins now, and a cut connection loses no event', async () => {
  await put('f/a', 'old');
  const proxy = await startProxy(server.clientPort);
  const client = new Etcd3({ hosts: [proxy.url] });
  const values: string[] = [];
  const subscription = watchEvents$(client, 'f/').subscribe((step) => {
    if (step.type === 'events') for (const event of step.events) if (event.type === 'put') values.push(event.value);
  });
  await eventually(async () => {
    await put('f/ready', '');
    return values.length > 0;
  });
  values.length = 0;
  for (let i = 0; i < 300; i++) {
    if (i % 100 === 50) proxy.cut();
    await put('f/n', String(i));
  }
  await eventually(() => values.at(-1) === '299');
  subscription.unsubscribe();
  client.close();
  await proxy.stop();
  expect(values.filter((value) => value !== '')).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
});

test('what was compacted away is said, with the present snapshot, and events go on from there', async () => {
  const first = await put('g/a', '1');
  const last = await put('g/a', '2');
  await etcd.kv.compact({ revision: String(last) });
  const steps: PrefixEvents<string>[] = [];
  const subscription = watchEvents$(etcd, 'g/', { fromRevision: first }).subscribe((step) => steps.push(step));
  await eventually(() => steps.length === 1);
  const next = await put('g/b', '3');
  await eventually(() => steps.length === 2);
  subscription.unsubscribe();
  expect(steps[0]).toMatchObject({ type: 'resync', reason: 'compacted', revision: last });
  expect([...(steps[0] as { snapshot: Snapshot<string> }).snapshot]).toEqual([['g/a', '2']]);
  expect(steps[1]).toMatchObject({ type: 'events', revision: next });
});

test('a revision that is no revision is a bad argument', () => {
  for (const fromRevision of [0, -1, 1.5, Number.NaN]) {
    expect(() => watchEvents$(etcd, 'g/', { fromRevision })).toThrow(/^options\.fromRevision: /);
  }
});

test('a value that cannot be read is an event of its own, and so is what becomes of it', async () => {
  const digits: Codec<number> = {
    encode: (value) => Buffer.from(String(value)),
    decode: (bytes) => {
      const number = Number(Buffer.from(bytes).toString());
      if (Number.isNaN(number)) throw new Error('not a number');
      return number;
    },
  };
  const first = await put('r/a', '1');
  for (const value of ['x', 'y', '2', 'z']) await put('r/a', value);
  await etcd.delete().key('r/a');
  const seen: unknown[] = [];
  const options = { fromRevision: first, codec: digits };
  const subscription = watchEvents$(etcd, 'r/', options).subscribe((step) => {
    if (step.type === 'events') for (const event of step.events) seen.push([step.revision, event.type, event.previous]);
  });
  await eventually(() => seen.length === 6);
  subscription.unsubscribe();
  expect(seen).toEqual([
    [first, 'put', undefined],
    [first + 1, 'rejected', 1],
    [first + 2, 'rejected', undefined],
    [first + 3, 'put', undefined],
    [first + 4, 'rejected', 2],
    [first + 5, 'delete', undefined],
  ]);
});

test('several prefixes are shown at one revision, a transaction over both included', async () => {
  const pairs: [string | undefined, string | undefined][] = [];
  const subscription = watchPrefixes$(etcd, ['p2/', 'p1/']).subscribe(([second, first]) => {
    pairs.push([first?.get('p1/n'), second?.get('p2/n')]);
  });
  await eventually(() => pairs.length === 1);
  for (let i = 1; i <= 20; i++) {
    await etcd.stm().transact((tx) => Promise.all([tx.put('p1/n').value(String(i)), tx.put('p2/n').value(String(i))]));
    await put('p1x', 'between, and no concern of theirs');
  }
  await eventually(() => pairs.at(-1)?.[0] === '20');
  subscription.unsubscribe();
  expect(pairs[0]).toEqual([undefined, undefined]);
  expect(pairs.slice(1)).toEqual(Array.from({ length: 20 }, (_, i) => [String(i + 1), String(i + 1)]));
});

test('a prefix that did not change keeps its very snapshot', async () => {
  const seen: (readonly Snapshot<string>[])[] = [];
  const subscription = watchPrefixes$(etcd, ['q1/', 'q2/']).subscribe((snapshots) => seen.push(snapshots));
  await eventually(() => seen.length === 1);
  await put('q1/a', '1');
  await eventually(() => seen.length === 2);
  subscription.unsubscribe();
  expect(seen[1]?.[1]).toBe(seen[0]?.[1]);
  expect([...(seen[1]?.[0] ?? [])]).toEqual([['q1/a', '1']]);
});
