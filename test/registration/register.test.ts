import { afterAll, expect, test } from 'vitest';
import { Etcd3 } from 'etcd3';
import { BehaviorSubject, of, type Observable } from 'rxjs';
import type { Codec } from '../../src/codecs/codec.ts';
import { lease$ } from '../../src/registration/lease.ts';
import { newLeaseId } from '../../src/registration/lease-id.ts';
import { register$ } from '../../src/registration/register.ts';

// Nobody is asked: a bad argument throws at the call.
const client = new Etcd3({ hosts: 'http://127.0.0.1:1' });

afterAll(() => {
  client.close();
});

const untyped = register$ as unknown as (...given: unknown[]) => unknown;

const broken: Codec<unknown> = {
  encode: () => {
    throw new TypeError('cannot');
  },
  decode: () => undefined,
};

const bad: readonly (readonly [named: string, given: readonly unknown[]])[] = [
  ['client', [undefined, 'key', 'value']],
  ['client', [{}, 'key', 'value']],
  ['key', [client, '', 'value']],
  ['key', [client, 7, 'value']],
  ['key', [client, '\uD800', 'value']],
  ['entries', [client, {}]],
  ['value', [client, 'key', 7]],
  ['value', [client, 'key', undefined]],
  ['value', [client, 'key', 7, { codec: broken }]],
  ['value', [client, 'key', 7, { codec: { encode: () => 'no bytes' } }]],
  ['ttlSeconds', [client, 'key', 'value', { ttlSeconds: 0 }]],
  ['ttlSeconds', [client, 'key', 'value', { ttlSeconds: 1.5 }]],
  ['ttlSeconds', [client, 'key', 'value', { ttlSeconds: 1e12 }]],
  ['ttlSeconds', [client, 'key', 'value', { ttlSeconds: '5' }]],
  ['onConflict', [client, 'key', 'value', { onConflict: 'fight' }]],
  ['confirm', [client, 'key', 'value', { confirm: 'twice' }]],
  ['drainMs', [client, 'key', 'value', { drainMs: -1 }]],
  ['drainMs', [client, 'key', 'value', { drainMs: Number.NaN }]],
  ['ready', [client, 'key', 'value', { ready: true }]],
];

for (const [index, [named, given]] of bad.entries()) {
  test(`a bad argument throws at the call and is named: ${named} (${index})`, () => {
    expect(() => untyped(...given)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => untyped(...given)).toThrow(named);
  });
}

test('lease$ checks its TTL too', () => {
  expect(() => lease$(client, { ttlSeconds: -1 })).toThrow('ttlSeconds');
});

test('lease ids are positive and fit 63 bits', () => {
  for (const value of [0, 0.5, 1 - Number.EPSILON / 2]) {
    const id = BigInt(newLeaseId(() => value));
    expect(id > 0n && id < 2n ** 63n).toBe(true);
  }
});

for (const [index, [named, given]] of (
  [
    ['entries', [client, ['a', 'b']]],
    ['entries', [client, Promise.resolve({ a: '1' })]],
    ['entries', [client, new Map()]],
    ['key', [client, null, 'value']],
    ['value', [client, 'key', Promise.resolve('value')]],
    ['value', [client, 'key', { address: 'a' }]],
    ['value', [client, { key: 7 }]],
    ['until', [client, 'key', 'value', { until: 7 }]],
    ['until', [client, 'key', 'value', { until: 'SIGTERM' }]],
    ['until', [client, 'key', 'value', { until: null }]],
    ['ready', [client, 'key', 'value', { ready: 'yes' }]],
    ['options', [client, 'key', 'value', null]],
    ['options', [client, { key: 'value' }, null]],
    ['options', [client, 'key', 'value', [1]]],
    ['ready$', [client, 'key', 'value', { ready$: of(true) }]],
    ['ttl', [client, 'key', 'value', { ttl: 5 }]],
    ['codec', [client, 'key', 'value', { codec: 'json' }]],
    ['drainValue', [client, 'key', 'value', { drainValue: 'gone' }]],
    ['random', [client, 'key', 'value', { random: 0.5 }]],
    ['scheduler', [client, 'key', 'value', { scheduler: {} }]],
  ] as const
).entries()) {
  test(`an argument that was taken and did something else throws at the call and is named: ${named} (${index})`, () => {
    expect(() => untyped(...given)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => untyped(...given)).toThrow(named);
  });
}

test('lease$ refuses options that are none, and misspelt ones', () => {
  expect(() => lease$(client, null as unknown as object)).toThrow('options');
  expect(() => lease$(client, { ttl: 5 } as object)).toThrow('ttl');
});

test('a value of the wrong type out of a stream is an error: it was registered as [object Object]', () => {
  const value = new BehaviorSubject<unknown>({ address: '10.0.0.7:8080' });
  let error: unknown;
  (untyped(client, 'key', value) as Observable<unknown>).subscribe({ error: (cause: unknown) => (error = cause) });
  expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('value') as string });
});
