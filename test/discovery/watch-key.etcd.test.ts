import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { watchKey$, type Codec, type RxEtcdError } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';

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

test('a configuration key is a stream of its values, undefined while absent', async () => {
  const values: (string | undefined)[] = [];
  const subscription = watchKey$(etcd, 'name').subscribe((value) => values.push(value));
  await eventually(() => values.length === 1);
  for (const value of ['小王', '小王', '小李']) await etcd.put('name').value(value);
  await etcd.put('name2').value('a neighbour that begins with the same bytes');
  await etcd.delete().key('name');
  await eventually(() => values.length === 4);
  subscription.unsubscribe();
  expect(values).toEqual([undefined, '小王', '小李', undefined]);
});

test('in a namespace the key is relative to it', async () => {
  const values: (string | undefined)[] = [];
  await etcd.put('space/name').value('here');
  const subscription = watchKey$(etcd.namespace('space/'), 'name').subscribe((value) => values.push(value));
  await eventually(() => values.length === 1);
  subscription.unsubscribe();
  expect(values).toEqual(['here']);
});

test('a value that cannot be read keeps the last good one, and is told', async () => {
  const digits: Codec<number> = {
    encode: (value) => Buffer.from(String(value)),
    decode: (bytes) => {
      const text = Buffer.from(bytes).toString();
      if (!/^\d+$/.test(text)) throw new Error(`not a number: ${text}`);
      return Number(text);
    },
  };
  const values: (number | undefined)[] = [];
  const told: [string, RxEtcdError][] = [];
  const subscription = watchKey$(etcd, 'limit', {
    codec: digits,
    onRejected: (error, key) => told.push([key, error]),
  }).subscribe((value) => values.push(value));
  await eventually(() => values.length === 1);
  for (const value of ['5', 'many', '6']) await etcd.put('limit').value(value);
  await eventually(() => values.at(-1) === 6);
  subscription.unsubscribe();
  expect(values).toEqual([undefined, 5, 6]);
  expect(told.map(([key, error]) => [key, error.code])).toEqual([['limit', 'decode-failed']]);
});

test('an empty key is a bad argument', () => {
  expect(() => watchKey$(etcd, '')).toThrow(/^key: /);
});
