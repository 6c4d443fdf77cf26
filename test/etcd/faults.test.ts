import { describe, expect, test } from 'vitest';
import { RxEtcdError, callbackFailed } from '../../src/errors.ts';
import { ETCD_TEXTS, FINAL_HINTS, type ErrorOrigin } from '../../src/etcd/fault-table.ts';
import { EtcdFault, fatalError, toFault, withoutSecret } from '../../src/etcd/faults.ts';
import { grpcError } from './fakes.ts';

// Status codes and texts as etcd's own list has them.
// https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
const etcdErrors: readonly (readonly [status: number, text: string, kind: string, code?: string])[] = [
  [9, 'etcdserver: not leader', 'busy', 'no-leader'],
  [14, 'etcdserver: no leader', 'connection', 'no-leader'],
  [14, 'etcdserver: leader changed', 'busy', 'no-leader'],
  [14, 'etcdserver: request timed out', 'connection', 'timeout'],
  [14, 'etcdserver: request timed out, possibly due to connection lost', 'connection', 'timeout'],
  [14, 'etcdserver: request timed out, possibly due to previous leader failure', 'connection', 'timeout'],
  [14, 'etcdserver: request timed out, waiting for the applied index took too long', 'connection', 'timeout'],
  [14, 'etcdserver: server stopped', 'connection', 'unavailable'],
  [14, 'etcdserver: unhealthy cluster', 'connection', 'unavailable'],
  [14, 'etcdserver: not capable', 'busy', 'unavailable'],
  [14, 'etcdserver: cluster version not found during downgrade', 'connection', 'unavailable'],
  // Up to 3.5, and from 3.6.
  [14, 'etcdserver: rpc not supported for learner', 'connection', 'unavailable'],
  [9, 'etcdserver: rpc not supported for learner', 'connection', 'unavailable'],
  [15, 'etcdserver: corrupt cluster', 'busy', 'unavailable'],
  [8, 'etcdserver: too many requests', 'busy', 'too-many-requests'],
  [8, 'etcdserver: mvcc: database space exceeded', 'busy', 'store-full'],
  [8, 'etcdserver: something new is exhausted', 'busy', 'too-many-requests'],
  [11, 'etcdserver: mvcc: required revision has been compacted', 'compacted', 'compacted'],
  [11, 'etcdserver: mvcc: required revision is a future revision', 'future-revision', 'unavailable'],
  [5, 'etcdserver: requested lease not found', 'lease-gone', 'lease-lost'],
  [9, 'etcdserver: lease already exists', 'lease-exists'],
  [16, 'etcdserver: invalid auth token', 'token', 'token-expired'],
  [3, 'etcdserver: revision of auth store is old', 'auth-revision', 'token-expired'],
  [2, 'auth: revision in header is old', 'auth-revision', 'token-expired'],
  [3, 'etcdserver: user name is empty', 'token', 'token-expired'],
  [9, 'etcdserver: authentication is not enabled', 'busy', 'unavailable'],
  [3, 'etcdserver: authentication failed, invalid user ID or password', 'unauthenticated'],
  [7, 'etcdserver: permission denied', 'permission-denied'],
  [3, 'etcdserver: key is not provided', 'invalid-request'],
  [3, 'etcdserver: request is too large', 'invalid-request'],
  [3, 'etcdserver: duplicate key given in txn request', 'invalid-request'],
  [3, 'etcdserver: too many operations in txn request', 'invalid-request'],
  [11, 'etcdserver: too large lease TTL', 'invalid-request'],
  [12, 'etcdserver: not supported', 'invalid-request'],
];

// Not etcd's word: the texts are those of grpc-js and of fronts, the codes what an HTTP status becomes.
const foreignErrors: readonly (readonly [status: number, text: string, code: string])[] = [
  [16, 'Received HTTP status code 401', 'unavailable'],
  [7, 'Received HTTP status code 403', 'unavailable'],
  [12, 'Received HTTP status code 404', 'unavailable'],
  [14, 'Received HTTP status code 429', 'unavailable'],
  [13, 'Received HTTP status code 400', 'unavailable'],
  [2, 'Received HTTP status code 500', 'unavailable'],
  [14, 'Received HTTP status code 503', 'unavailable'],
  [7, 'RBAC: access denied', 'unavailable'],
  [12, '', 'unavailable'],
  [12, 'unknown service etcdserverpb.KV', 'unavailable'],
  [3, 'malformed header', 'unavailable'],
  [9, 'upstream is not ready', 'unavailable'],
  [5, 'no such route', 'unavailable'],
  [1, 'Cancelled on client', 'connection-lost'],
  [4, 'Deadline exceeded', 'timeout'],
  [2, 'Stream removed', 'connection-lost'],
  [8, 'Bandwidth exhausted or memory limit exceeded', 'too-many-requests'],
  [14, 'No connection established. Last error: connect EACCES /run/etcd.sock: permission denied', 'unavailable'],
  [14, 'unavailable: the authentication failed of a proxy', 'unavailable'],
  [16, 'jwt: token is expired', 'unavailable'],
];

test.each(etcdErrors.map(([status, text, kind, code]) => ({ status, text, kind, code })))(
  "etcd's own: status $status, $text is of the kind $kind",
  ({ status, text, kind, code }) => {
    for (const origin of [undefined, 'etcd'] as const) {
      const fault = toFault(grpcError(status, text), origin);
      expect(fault.kind).toBe(kind);
      if (code !== undefined) expect(fault.code).toBe(code);
      expect(fatalError(fault)?.code).toBe(kind in FINAL_HINTS ? kind : undefined);
    }
  },
);

test('every row of the table is tested here, and matched by the text that it is for', () => {
  for (const [part, sorted] of ETCD_TEXTS) {
    const tested = etcdErrors.filter(([, text]) => text.includes(part));
    expect(tested, part).not.toEqual([]);
    expect(toFault(grpcError(2, tested[0]?.[1] as string)).kind).toBe(sorted.kind);
  }
});

test.each(foreignErrors)(
  'a front, or grpc itself: status %i, %j is retried, and its text told',
  (status, text, code) => {
    const fault = toFault(grpcError(status, text));
    expect(fault.kind).toBe('connection');
    expect(fault.code).toBe(code);
    expect(fault.passing).toMatchObject({ code, cause: { code: status } });
    expect(fault.passing.message).toContain(text);
    expect(fatalError(fault)).toBeUndefined();
  },
);

test('an error whose origin is no answer of gRPC ends nothing, whatever its code and text say', () => {
  const origins: ErrorOrigin[] = ['http', 'stream', 'transport', 'tls', 'dns', 'deadline'];
  for (const origin of origins) {
    for (const [status, text] of [...etcdErrors, ...foreignErrors]) {
      const thrown = Object.assign(grpcError(status, text), { origin });
      expect(toFault(thrown).kind).toBe('connection');
      expect(toFault(grpcError(status, text), origin).kind).toBe('connection');
    }
  }
  expect(toFault(grpcError(4, 'nothing came'), 'deadline').code).toBe('timeout');
  expect(toFault(grpcError(14, 'reset'), 'dns').code).toBe('unavailable');
});

test('a text of etcd in the middle of a sentence of a front is not taken for the word of etcd', () => {
  expect(toFault(grpcError(14, 'upstream said: permission denied')).kind).toBe('connection');
  expect(toFault(grpcError(7, 'proxy: auth: permission denied')).kind).toBe('connection');
});

test.each([
  'grpc: received message larger than max (2200091 vs. 2097152)',
  'grpc: trying to send message larger than max (2200091 vs. 2097152)',
  'Received message larger than max (5000000 vs 4194304)',
])('a message over the limit concerns its request, not the connection: %s', (text) => {
  const fault = toFault(grpcError(8, text));
  expect(fault.kind).toBe('invalid-request');
  expect(fatalError(fault)).toMatchObject({ code: 'invalid-request' });
});

test.each([
  undefined,
  null,
  'text',
  7,
  Symbol('s'),
  {},
  Object.create(null),
  { message: 3, details: {} },
  { code: '14' },
  { code: 14, details: 'x', origin: 7 },
  { code: 14, details: 'x', origin: 'elsewhere' },
])('whatever was thrown (%#) becomes a fault, and does not throw', (thrown) => {
  const fault = toFault(thrown);
  expect(fault.kind).toBe('connection');
  expect(typeof fault.message).toBe('string');
  expect(fatalError(fault)).toBeUndefined();
  expect(fault.passing).toBeInstanceOf(RxEtcdError);
});

describe('what users are told', () => {
  test('a final fault becomes a public error with the cause and a hint', () => {
    const error = fatalError(toFault(grpcError(7, 'etcdserver: permission denied')));
    expect(error).toBeInstanceOf(RxEtcdError);
    expect(error).toMatchObject({ code: 'permission-denied', cause: { code: 7 } });
  });

  test('a hint stands once in a message, however often the error is sorted', () => {
    let error: unknown = grpcError(3, 'etcdserver: authentication failed, invalid user ID or password');
    for (let times = 0; times < 3; times++) error = fatalError(toFault(error));
    expect((error as Error).message.split(FINAL_HINTS.unauthenticated)).toHaveLength(2);
    const closed = fatalError(new EtcdFault('client-closed', FINAL_HINTS['client-closed']));
    expect(closed?.message).toBe(FINAL_HINTS['client-closed']);
  });

  test("an error of a user's function stays what it is, and is not retried", () => {
    const thrown = new Error('a mistake');
    const error = callbackFailed('defaultCallOptions', thrown);
    expect(fatalError(toFault(error))).toBe(error);
    expect(error.cause).toBe(thrown);
  });

  test('the cause of a state is the same object each time, so that equal states can be told', () => {
    const fault = toFault(grpcError(14, 'etcdserver: no leader'));
    expect(fault.passing).toBe(fault.passing);
    expect(toFault(fault)).toBe(fault);
  });

  test('what calls carry in their metadata is not in the cause', () => {
    const raw = Object.assign(grpcError(14, 'etcdserver: no leader'), { metadata: { token: 'secret' } });
    expect(JSON.stringify(toFault(raw).passing.cause)).not.toContain('secret');
  });

  test('a token that a front repeats is taken out of the text', () => {
    const fault = toFault(grpcError(14, 'refused: token abc.123 is bad, abc.123'));
    expect(withoutSecret(fault, 'abc.123').message).toBe('refused: token <token> is bad, <token>');
    expect(withoutSecret(fault, 'abc.123').kind).toBe(fault.kind);
    expect(withoutSecret(fault, '')).toBe(fault);
    expect(withoutSecret(fault, undefined)).toBe(fault);
  });
});
