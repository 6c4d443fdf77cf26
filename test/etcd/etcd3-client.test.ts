import { Etcd3 } from 'etcd3';
import { afterEach, expect, test } from 'vitest';
import { clientParts, type EtcdClient } from '../../src/etcd/etcd3-client.ts';
import { resolveClient } from '../../src/etcd/connection.ts';
import { certificate } from '../support/certificates.ts';

const clients: Etcd3[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function clientOf(options: ConstructorParameters<typeof Etcd3>[0]): Etcd3 {
  const client = new Etcd3(options);
  clients.push(client);
  return client;
}

const settingsOf = (client: EtcdClient) => clientParts(client).settings();

test('etcd3 has the fields that are read of it, by these names', () => {
  const client = clientOf({ hosts: ['http://a:1', 'b'] });
  const inside = client.namespace('x/') as unknown as {
    prefix: unknown;
    options: { hosts: unknown };
    pool: { hosts: { closed: unknown }[]; mockImpl?: unknown };
  };
  expect(inside.prefix, 'prefix').toEqual(Buffer.from('x/'));
  expect(inside.options.hosts, 'options').toEqual(['http://a:1', 'b']);
  expect(
    inside.pool.hosts.map(({ closed }) => closed),
    'pool.hosts[].closed',
  ).toEqual([false, false]);
  client.mock({} as never);
  expect(inside.pool.mockImpl, 'pool.mockImpl').toBeDefined();
  client.unmock();
  expect(inside.pool.mockImpl ?? undefined, 'pool.mockImpl').toBeUndefined();
  client.close();
  expect(
    inside.pool.hosts.map(({ closed }) => closed),
    'pool.hosts[].closed',
  ).toEqual([true, true]);
});

test.each(['prefix', 'options', 'pool.hosts[].closed'])('a client without %s is refused by that name', (field) => {
  const { prefix, options, pool } = clientOf({ hosts: 'a' }) as unknown as Record<string, unknown>;
  const given = {
    prefix,
    options,
    pool,
    ...(field.startsWith('pool') ? { pool: { hosts: [{}] } } : { [field]: undefined }),
  };
  expect(() => resolveClient(given as never)).toThrow(field);
  expect(() => resolveClient(given as never)).toThrow(expect.objectContaining({ code: 'unsupported-client' }));
});

test('a client that is mocked is refused, and one that no longer is works', () => {
  const client = clientOf({ hosts: 'http://a:1' });
  client.mock({} as never);
  expect(() => resolveClient(client)).toThrow(expect.objectContaining({ code: 'unsupported-client' }));
  client.unmock();
  expect(() => resolveClient(client)).not.toThrow();
});

test.each([undefined, null, 'a:2379', 7, {}, []])('%j is no client', (given) => {
  expect(() => resolveClient(given as never)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test.each(['a:2379,b:2379', 'http://a:2379/path', 'a:99999', ['a', 'b:x']])(
  'hosts %j are refused at the call, of an etcd3 client and of options',
  (hosts) => {
    const error = expect.objectContaining({
      code: 'invalid-argument',
      message: expect.stringContaining('hosts') as string,
    }) as Error;
    expect(() => resolveClient({ hosts })).toThrow(error);
    let client: Etcd3;
    try {
      client = clientOf({ hosts });
    } catch {
      return;
    }
    expect(() => resolveClient(client)).toThrow(error);
  },
);

test('a trailing slash is taken off', () => {
  expect(settingsOf(clientOf({ hosts: 'http://a:2379/' })).endpoints[0]?.name).toBe('a:2379');
});

test('a client and its namespaces have one connection, and options as long as they are the same object', () => {
  const client = clientOf({ hosts: 'http://a:1' });
  expect(resolveClient(client.namespace('x')).connection).toBe(resolveClient(client).connection);
  const options = { hosts: 'http://a:1', namespace: 'n/' };
  expect(resolveClient(options).connection).toBe(resolveClient(options).connection);
  expect(Buffer.from(resolveClient(options).namespace).toString()).toBe('n/');
  expect(resolveClient({ ...options }).connection).not.toBe(resolveClient(options).connection);
});

test('what users of grpc-js set is understood', () => {
  const { transport } = settingsOf(
    clientOf({
      hosts: 'http://a:1',
      dialTimeout: 700,
      grpcOptions: {
        'grpc.keepalive_time_ms': 20_000,
        'grpc.keepalive_timeout_ms': 3000,
        'grpc.default_authority': 'etcd.internal',
        'grpc.primary_user_agent': 'shop/1',
        'grpc.secondary_user_agent': 'x',
        'grpc.max_receive_message_length': 5,
        'grpc.max_send_message_length': 6,
        'grpc.enable_http_proxy': 0,
        'grpc.max_reconnect_backoff_ms': 1,
      },
    }),
  );
  expect(transport).toEqual({
    keepAliveMs: 20_000,
    keepAliveTimeoutMs: 3000,
    dialTimeoutMs: 700,
    authority: 'etcd.internal',
    userAgent: 'shop/1 rx-etcd x',
    maxReceiveBytes: 5,
    maxSendBytes: 6,
    usesProxy: false,
  });
});

test.each([
  [1000, 5000],
  [-1, Infinity],
  [2 ** 31 - 1, Infinity],
  [undefined, 10_000],
])('pings every %d ms are made every %d ms: a server answers more frequent ones with GOAWAY', (given, expected) => {
  const grpcOptions = given === undefined ? {} : { 'grpc.keepalive_time_ms': given };
  expect(settingsOf({ hosts: 'a', grpcOptions }).transport.keepAliveMs).toBe(expected);
});

test.each([
  [{ interceptors: [() => undefined] }, 'interceptors'],
  [{ channelOverride: {} }, 'channelOverride'],
])('grpcOptions that cannot be honoured are refused by name: %o', (grpcOptions, name) => {
  const client = clientOf({ hosts: 'a', grpcOptions: grpcOptions });
  expect(() => resolveClient(client)).toThrow(name);
  expect(() => resolveClient(client)).toThrow(expect.objectContaining({ code: 'unsupported-client' }));
});

test("interceptors among the call options are refused with what to use instead; deadlines are etcd3's own", () => {
  const interceptors = [(): never => undefined as never];
  expect(() => resolveClient(clientOf({ hosts: 'a', defaultCallOptions: { interceptors } }))).toThrow(/headers/);
  expect(() => resolveClient(clientOf({ hosts: 'a', defaultCallOptions: () => ({ interceptors }) }))).toThrow(
    /headers/,
  );
  expect(() => resolveClient(clientOf({ hosts: 'a', defaultCallOptions: () => ({ deadline: 1 }) }))).not.toThrow();
});

test("a function of the user's that throws is an error at the call", () => {
  const defaultCallOptions = (): never => {
    throw new Error('no such tenant');
  };
  expect(() => resolveClient(clientOf({ hosts: 'a', defaultCallOptions }))).toThrow(
    expect.objectContaining({ code: 'callback-failed' }),
  );
  const headers = (): never => {
    throw new Error('no such tenant');
  };
  expect(() => settingsOf({ hosts: 'a', headers }).headers()).toThrow(/client.headers.*no such tenant/);
});

test('TLS: as etcd3 decides it for a client, and by each address for options', () => {
  const ca = certificate('ca.crt');
  const isTls = (settings: ReturnType<typeof settingsOf>): boolean[] =>
    settings.endpoints.map((endpoint) => settings.tls(endpoint) !== undefined);
  expect(isTls(settingsOf(clientOf({ hosts: 'a' })))).toEqual([false]);
  expect(isTls(settingsOf(clientOf({ hosts: ['https://a', 'https://b'] })))).toEqual([true, true]);
  expect(isTls(settingsOf(clientOf({ hosts: 'a', credentials: { rootCertificate: ca } })))).toEqual([true]);
  expect(isTls(settingsOf({ hosts: ['a', 'https://b', 'http://c'] }))).toEqual([false, true, false]);
  expect(isTls(settingsOf({ hosts: ['a', 'https://b'], tls: { ca } }))).toEqual([true, true]);
});

test.each([
  [{ hosts: 'http://a', tls: {} }, 'client.hosts'],
  [{ hosts: 'a', tls: { key: 'no key' } }, 'client.tls'],
  [{ hosts: 'a', tls: true }, 'client.tls'],
  [{ hosts: 'a', auth: { username: 'x' } }, 'client.auth'],
  [{ hosts: 'a', namespace: 7 }, 'client.namespace'],
  [{ hosts: 'a', headers: { 'grpc-timeout': '1S' } }, 'client.headers'],
  [{ hosts: 'a', headers: { ':path': '/' } }, 'client.headers'],
  [{ hosts: 'a', headers: { tenant: 'Zürich' } }, 'client.headers["tenant"]'],
  [{ hosts: 'a', headers: 'x' }, 'client.headers'],
  [{ hosts: 'a', dialTimeout: 0 }, 'dialTimeout'],
  [{ hosts: 'a', grpcOptions: { 'grpc.keepalive_time_ms': 'often' } }, 'grpc.keepalive_time_ms'],
  [{ hosts: [] }, 'client.hosts'],
])('options %o are refused at the call, by name', (options, name) => {
  const error = expect.objectContaining({
    code: 'invalid-argument',
    message: expect.stringContaining(name) as string,
  }) as Error;
  expect(() => resolveClient(options as never)).toThrow(error);
});
