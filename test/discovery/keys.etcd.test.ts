import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  RxEtcdError,
  watchPrefix$,
  watchPrefixState$,
  type Codec,
  type EtcdClient,
  type WatchPrefixOptions,
} from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer } from './support.ts';

let server: EtcdServer;
let etcd: Gateway;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd();
  etcd = gateway(server.clientUrl);
});
afterEach(() => end.dispose());
afterAll(() => server.stop());

test('keys that are not valid UTF-8 stay apart, by list and by watch', async () => {
  const bytes = (...tail: number[]): Buffer => Buffer.from([...Buffer.from('bytes/'), ...tail]);
  await etcd.write([
    [bytes(0xff), 'ff'],
    [bytes(0xfe), 'fe'],
    [bytes(0xc3), 'half a character'],
    [bytes(0xc3, 0xa9), 'é'],
  ]);
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'bytes/'));
  const listed = { 'bytes/\uDCC3': 'half a character', 'bytes/é': 'é', 'bytes/\uDCFE': 'fe', 'bytes/\uDCFF': 'ff' };
  await followed.holds(listed);
  await etcd.write([[bytes(0xff, 0xff), 'new']]);
  await followed.holds({ ...listed, 'bytes/\uDCFF\uDCFF': 'new' });
  const within = end.follow(watchPrefixState$(end.client(server.clientUrl), 'bytes/\uDCFF'));
  await within.holds({ 'bytes/\uDCFF': 'ff', 'bytes/\uDCFF\uDCFF': 'new' });
});

test('keys beyond U+FFFF come in the order of their bytes, as in etcd', async () => {
  const keys = ['\u{1F600}', '\uFFFD', 'z', '\uE000', '小', '\u{10FFFF}'].map((tail) => `order/${tail}`);
  for (const key of keys.slice(0, 3)) await etcd.put(key);
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'order/'));
  await followed.holds(await etcd.range('order/'));
  for (const key of keys.slice(3)) await etcd.put(key);
  await followed.holds((snapshot) => snapshot.size === keys.length);
  const inEtcd = Object.keys(await etcd.range('order/'));
  expect([...(followed.snapshots.at(-1)?.keys() ?? [])]).toEqual(inEtcd);
  expect(inEtcd).not.toEqual([...inEtcd].sort());
});

test('a prefix of bytes 0xFF alone has no end, and still ends nowhere too early', async () => {
  await etcd.write([[Buffer.from([0xff, 0xff, 1]), 'a']]);
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), '\uDCFF\uDCFF'));
  await followed.holds({ '\uDCFF\uDCFF\u0001': 'a' });
  await etcd.write([
    [Buffer.from([0xff, 0xff, 0xff]), 'b'],
    [Buffer.from([0xff, 0xfe]), 'outside'],
  ]);
  await followed.holds({ '\uDCFF\uDCFF\u0001': 'a', '\uDCFF\uDCFF\uDCFF': 'b' });
});

test("the empty prefix is every key, and a namespace's empty prefix every key of the namespace", async () => {
  await etcd.write([
    ['ns/a', '1'],
    ['nt', '1'],
  ]);
  const client = end.client(server.clientUrl);
  const all = end.follow(watchPrefixState$(client, ''));
  const inside = end.follow(watchPrefixState$(client.namespace('ns/'), ''));
  await all.holds((snapshot) => snapshot.has('ns/a') && snapshot.has('nt'));
  await inside.holds({ a: '1' });
  await etcd.write([
    ['\0', 'lowest'],
    ['ns/b', '1'],
  ]);
  await all.holds((snapshot) => snapshot.entryAfter(undefined)?.[1] === 'lowest' && snapshot.has('ns/b'));
  await inside.holds({ a: '1', b: '1' });
});

test('with a namespace, keys are relative to it, both ways, and nothing outside of it is seen', async () => {
  const client = end.client(server.clientUrl);
  const namespace = client.namespace('rel/');
  const relative = end.follow(watchPrefixState$(namespace, 's/'));
  const nested = end.follow(watchPrefixState$(namespace.namespace('s/'), ''));
  const absolute = end.follow(watchPrefixState$(client, 'rel/s/'));
  for (const followed of [relative, nested, absolute]) await followed.holds({});
  await namespace.put('s/a').value('1');
  await etcd.put('s/outside');
  await etcd.put('rel/s/b');
  await relative.holds({ 's/a': '1', 's/b': '1' });
  await nested.holds({ a: '1', b: '1' });
  await absolute.holds({ 'rel/s/a': '1', 'rel/s/b': '1' });
  await etcd.delete('rel/s/a');
  await relative.holds({ 's/b': '1' });
});

const numbers: Codec<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes) => {
    const text = Buffer.from(bytes).toString();
    if (text === 'skip') return undefined;
    const value = Number(text);
    if (Number.isNaN(value)) throw new TypeError(`not a number: ${text}`);
    return value;
  },
};

test('a value that cannot be decoded is in `rejected`; the others stay, and it comes when it is valid', async () => {
  await etcd.write([
    ['n/1', '1'],
    ['n/2', 'two'],
    ['n/3', 'skip'],
  ]);
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'n/', { codec: numbers }));
  await followed.holds({ 'n/1': 1 });
  const rejected = (): Record<string, string> =>
    followed.last.status === 'live'
      ? Object.fromEntries([...followed.last.rejected].map(([key, error]) => [key, error.code]))
      : {};
  expect(rejected()).toEqual({ 'n/2': 'decode-failed' });
  await etcd.put('n/1', 'one');
  await followed.holds({});
  expect(rejected()).toEqual({ 'n/1': 'decode-failed', 'n/2': 'decode-failed' });
  await etcd.write([
    ['n/1', '1'],
    ['n/2', '2'],
  ]);
  await followed.holds({ 'n/1': 1, 'n/2': 2 });
  expect(rejected()).toEqual({});
  await etcd.put('n/2', 'zwei');
  await followed.holds({ 'n/1': 1 });
  await etcd.delete('n/2');
  await eventually(() => Object.keys(rejected()).length === 0);
  await etcd.put('n/3', '3');
  await followed.holds({ 'n/1': 1, 'n/3': 3 });
  await etcd.put('n/3', 'skip');
  await followed.holds({ 'n/1': 1 });
});

test('every snapshot holds all of a transaction or none of it', async () => {
  const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'pairs/'));
  await followed.holds({});
  for (let i = 0; i < 200; i++)
    await etcd.write([
      ['pairs/a', String(i)],
      ['pairs/b', String(i)],
    ]);
  await followed.holds({ 'pairs/a': '199', 'pairs/b': '199' });
  for (const snapshot of followed.snapshots) expect(snapshot.get('pairs/a')).toBe(snapshot.get('pairs/b'));
});

test('a bad argument throws at the call, and names it', () => {
  const client = end.client(server.clientUrl);
  const call = (badClient: unknown, prefix: unknown, options?: unknown): void => {
    for (const watch of [watchPrefix$, watchPrefixState$]) {
      void watch(badClient as EtcdClient, prefix as string, options as WatchPrefixOptions<string>);
    }
  };
  const invalid = (argument: string): object => ({
    code: 'invalid-argument',
    message: expect.stringContaining(argument) as string,
  });
  expect(() => {
    call(undefined, 'a/');
  }).toThrow(expect.objectContaining(invalid('client')));
  expect(() => {
    call({}, 'a/');
  }).toThrow(expect.objectContaining(invalid('client')));
  expect(() => {
    call(client, undefined);
  }).toThrow(expect.objectContaining(invalid('prefix')));
  expect(() => {
    call(client, 7);
  }).toThrow(expect.objectContaining(invalid('prefix')));
  expect(() => {
    call(client, '\uD800');
  }).toThrow(expect.objectContaining(invalid('prefix')));
  expect(() => {
    call(client, 'a/', { maxRetries: -1 });
  }).toThrow(expect.objectContaining(invalid('maxRetries')));
  expect(() => {
    call(client, 'a/', { maxRetries: 'many' });
  }).toThrow(expect.objectContaining(invalid('maxRetries')));
  expect(() => {
    call(client, 'a/', { codec: {} });
  }).toThrow(expect.objectContaining(invalid('codec')));
  expect(() => {
    call({ pool: {} }, 'a/');
  }).toThrow(RxEtcdError);
});
