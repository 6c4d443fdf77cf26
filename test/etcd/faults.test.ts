import { expect, test } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { fatalError, toFault } from '../../src/etcd/faults.ts';
import { grpcError } from './fakes.ts';

// Status codes and texts as etcd's own list has them.
// https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
test.each([
  [9, 'etcdserver: not leader', 'busy'],
  [14, 'etcdserver: no leader', 'connection'],
  [14, 'etcdserver: leader changed', 'busy'],
  [14, 'etcdserver: request timed out', 'connection'],
  [14, 'etcdserver: request timed out, possibly due to connection lost', 'connection'],
  [14, 'etcdserver: server stopped', 'connection'],
  [14, 'etcdserver: rpc not supported for learner', 'connection'],
  [8, 'etcdserver: too many requests', 'busy'],
  [8, 'etcdserver: mvcc: database space exceeded', 'busy'],
  [11, 'etcdserver: mvcc: required revision has been compacted', 'compacted'],
  [11, 'etcdserver: mvcc: required revision is a future revision', 'future-revision'],
  [5, 'etcdserver: requested lease not found', 'lease-gone'],
  [9, 'etcdserver: lease already exists', 'lease-exists'],
  [16, 'etcdserver: invalid auth token', 'token'],
  [3, 'etcdserver: revision of auth store is old', 'token'],
  [3, 'etcdserver: user name is empty', 'token'],
  [3, 'etcdserver: authentication failed, invalid user ID or password', 'unauthenticated'],
  [7, 'etcdserver: permission denied', 'permission-denied'],
  [3, 'etcdserver: key is not provided', 'invalid-request'],
  [11, 'etcdserver: too large lease TTL', 'invalid-request'],
  [1, 'Cancelled on client', 'connection'],
  [4, 'Deadline exceeded', 'connection'],
  [2, 'Stream removed', 'connection'],
  [14, 'No connection established. Last error: connect EACCES /run/etcd.sock: permission denied', 'connection'],
  [14, 'unavailable: the authentication failed of a proxy', 'connection'],
])('status %i, "%s" is of the kind %s', (code, details, kind) => {
  expect(toFault(grpcError(code, details)).kind).toBe(kind);
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
])('whatever was thrown (%#) becomes a fault, and does not throw anew', (thrown) => {
  const fault = toFault(thrown);
  expect(fault.kind).toBe('connection');
  expect(typeof fault.message).toBe('string');
  expect(fatalError(fault)).toBeUndefined();
});

test('a fatal fault becomes a public error with the cause and a hint', () => {
  const cause = grpcError(7, 'etcdserver: permission denied');
  const error = fatalError(toFault(cause));
  expect(error).toBeInstanceOf(RxEtcdError);
  expect(error).toMatchObject({ code: 'permission-denied', cause });
});
