import { GrpcError, type GrpcCode } from '../wire/grpc-error.ts';

type EtcdErrorName =
  | 'keyEmpty'
  | 'keyNotFound'
  | 'valueProvided'
  | 'leaseProvided'
  | 'tooManyOps'
  | 'duplicateKey'
  | 'invalidSort'
  | 'compacted'
  | 'futureRevision'
  | 'noSpace'
  | 'leaseNotFound'
  | 'leaseExists'
  | 'leaseTtlTooLarge'
  | 'requestTooLarge'
  | 'rootUserMissing'
  | 'rootRoleMissing'
  | 'userExists'
  | 'userEmpty'
  | 'userNotFound'
  | 'roleExists'
  | 'roleNotFound'
  | 'roleEmpty'
  | 'authFailed'
  | 'permissionDenied'
  | 'roleNotGranted'
  | 'permissionNotGranted'
  | 'authNotEnabled'
  | 'authOldRevision'
  | 'invalidToken'
  | 'invalidAuthManagement'
  | 'noLeader'
  | 'timeout'
  | 'notForLearner'
  | 'corrupt';

/**
 * etcd's own errors, by its published codes and texts.
 *
 * @source https://pkg.go.dev/go.etcd.io/etcd/api/v3/v3rpc/rpctypes
 */
const TEXTS: Readonly<Record<EtcdErrorName, readonly [GrpcCode, string]>> = {
  keyEmpty: ['INVALID_ARGUMENT', 'key is not provided'],
  keyNotFound: ['INVALID_ARGUMENT', 'key not found'],
  valueProvided: ['INVALID_ARGUMENT', 'value is provided'],
  leaseProvided: ['INVALID_ARGUMENT', 'lease is provided'],
  tooManyOps: ['INVALID_ARGUMENT', 'too many operations in txn request'],
  duplicateKey: ['INVALID_ARGUMENT', 'duplicate key given in txn request'],
  invalidSort: ['INVALID_ARGUMENT', 'invalid sort option'],
  compacted: ['OUT_OF_RANGE', 'mvcc: required revision has been compacted'],
  futureRevision: ['OUT_OF_RANGE', 'mvcc: required revision is a future revision'],
  noSpace: ['RESOURCE_EXHAUSTED', 'mvcc: database space exceeded'],
  leaseNotFound: ['NOT_FOUND', 'requested lease not found'],
  leaseExists: ['FAILED_PRECONDITION', 'lease already exists'],
  leaseTtlTooLarge: ['OUT_OF_RANGE', 'too large lease TTL'],
  requestTooLarge: ['INVALID_ARGUMENT', 'request is too large'],
  rootUserMissing: ['FAILED_PRECONDITION', 'root user does not exist'],
  rootRoleMissing: ['FAILED_PRECONDITION', 'root user does not have root role'],
  userExists: ['FAILED_PRECONDITION', 'user name already exists'],
  userEmpty: ['INVALID_ARGUMENT', 'user name is empty'],
  userNotFound: ['FAILED_PRECONDITION', 'user name not found'],
  roleExists: ['FAILED_PRECONDITION', 'role name already exists'],
  roleNotFound: ['FAILED_PRECONDITION', 'role name not found'],
  roleEmpty: ['INVALID_ARGUMENT', 'role name is empty'],
  authFailed: ['INVALID_ARGUMENT', 'authentication failed, invalid user ID or password'],
  permissionDenied: ['PERMISSION_DENIED', 'permission denied'],
  roleNotGranted: ['FAILED_PRECONDITION', 'role is not granted to the user'],
  permissionNotGranted: ['FAILED_PRECONDITION', 'permission is not granted to the role'],
  authNotEnabled: ['FAILED_PRECONDITION', 'authentication is not enabled'],
  authOldRevision: ['INVALID_ARGUMENT', 'revision of auth store is old'],
  invalidToken: ['UNAUTHENTICATED', 'invalid auth token'],
  invalidAuthManagement: ['INVALID_ARGUMENT', 'invalid auth management'],
  noLeader: ['UNAVAILABLE', 'no leader'],
  timeout: ['UNAVAILABLE', 'request timed out'],
  notForLearner: ['UNAVAILABLE', 'rpc not supported for learner'],
  corrupt: ['DATA_LOSS', 'corrupt cluster'],
};

/** @param name this module's, for one of etcd's errors. */
export function etcdError(name: EtcdErrorName): GrpcError {
  const [code, text] = TEXTS[name];
  return new GrpcError(code, `etcdserver: ${text}`);
}
