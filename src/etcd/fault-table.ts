import type { PassingErrorCode } from '../errors.ts';

/**
 * What went wrong with a call or a stream, as the state machines above see it.
 *
 * - `connection`: the connection or the member behind it; the member is given up and another one made.
 * - `busy`: this request failed, the member serves; ask again after a delay.
 * - `token`: the auth token is no longer valid; a new one cures it.
 * - `auth-revision`: users or roles were changed while etcd handled the request; ask again, with a new token if any.
 * - `compacted`: the asked revision is gone from the history.
 * - `future-revision`: the asked revision is ahead of the store: its history is not the one we know.
 * - `lease-gone`: the lease expired or was revoked.
 * - `lease-exists`: a lease of the chosen id was granted before.
 * - the rest cannot be cured by asking again, and have the same names as the public error codes.
 */
export type FaultKind =
  | 'connection'
  | 'busy'
  | 'token'
  | 'auth-revision'
  | 'compacted'
  | 'future-revision'
  | 'lease-gone'
  | 'lease-exists'
  | FinalKind;

export type FinalKind =
  | 'permission-denied'
  | 'unauthenticated'
  | 'client-closed'
  | 'invalid-request'
  | 'unsupported-client'
  | 'callback-failed';

/** What is added to the message of a fault that retrying cannot cure. */
export const FINAL_HINTS: Readonly<Record<FinalKind, string>> = {
  'permission-denied': 'grant the user a role with access to this range',
  unauthenticated: 'check the user name and password given to the etcd3 client',
  'client-closed': 'the etcd3 client was closed; make a new one',
  'invalid-request': 'etcd refused the request itself',
  'unsupported-client': '',
  'callback-failed': '',
};

/**
 * Where an error came from: a status code says little without it.
 *
 * - `etcd`: a gRPC status in an answer: etcd's own, or that of a proxy which speaks gRPC.
 * - `http`: an HTTP answer that is none of gRPC, from a front.
 * - `stream`: the stream was reset, or ended without a status.
 * - `transport`, `tls`, `dns`: the connection could not be made, or was lost.
 * - `deadline`: nothing came within the time allowed here.
 */
export type ErrorOrigin = 'etcd' | 'http' | 'stream' | 'transport' | 'tls' | 'dns' | 'deadline';

export interface Sorted {
  readonly kind: FaultKind;
  /** Undefined: what the kind says. */
  readonly code?: PassingErrorCode;
}

// gRPC status codes, https://grpc.io/docs/guides/status-codes/
const CANCELLED = 1;
const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAUTHENTICATED = 16;

const NO_LEADER = { kind: 'connection', code: 'no-leader' } as const;
const UNAVAILABLE_MEMBER = { kind: 'connection', code: 'unavailable' } as const;
const TIMED_OUT = { kind: 'connection', code: 'timeout' } as const;

/**
 * etcd's own errors, by their text: several share a status code, and some had another one in another version. The first
 * row whose text is part of an error's is its kind. Codes that differ between versions are in the last column.
 *
 * @source https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
 */
export const ETCD_TEXTS: readonly (readonly [text: string, sorted: Sorted, versions?: string])[] = [
  ['required revision has been compacted', { kind: 'compacted' }],
  ['required revision is a future revision', { kind: 'future-revision' }],
  ['requested lease not found', { kind: 'lease-gone' }],
  ['lease already exists', { kind: 'lease-exists' }],
  ['invalid auth token', { kind: 'token' }],
  ['revision of auth store is old', { kind: 'auth-revision' }, 'INVALID_ARGUMENT; from 3.5'],
  ['revision in header is old', { kind: 'auth-revision' }, 'UNKNOWN, and begins with "auth:"; 3.4'],
  // The call carried no token although authentication is on: it was switched on since.
  ['user name is empty', { kind: 'token' }, 'for a grant or a member list from 3.5.17'],
  ['authentication failed', { kind: 'unauthenticated' }],
  ['authentication is not enabled', { kind: 'busy' }],
  ['permission denied', { kind: 'permission-denied' }],
  ['too many requests', { kind: 'busy', code: 'too-many-requests' }],
  ['database space exceeded', { kind: 'busy', code: 'store-full' }],
  // A member cut off from the others answers so: the next member may not be.
  ['request timed out', TIMED_OUT],
  ['leader changed', { kind: 'busy', code: 'no-leader' }],
  ['no leader', NO_LEADER],
  ['not leader', { kind: 'busy', code: 'no-leader' }],
  // Another member votes, and serves.
  ['rpc not supported for learner', UNAVAILABLE_MEMBER, 'UNAVAILABLE up to 3.5, FAILED_PRECONDITION from 3.6'],
  ['server stopped', UNAVAILABLE_MEMBER],
  ['unhealthy cluster', UNAVAILABLE_MEMBER],
  ['not capable', { kind: 'busy' }, 'until the members have agreed on a version'],
  ['corrupt', { kind: 'busy' }],
];

/**
 * The kind of an error by its text, its gRPC status code, and where it came from.
 *
 * Only etcd's own word ends anything: a front's HTTP 401, 403 or 404 arrives as UNAUTHENTICATED, PERMISSION_DENIED or
 * UNIMPLEMENTED, and a socket's "permission denied" as UNAVAILABLE. Where `origin` is not known, the text tells.
 */
export function sortFault(status: number | undefined, text: string, origin?: ErrorOrigin): Sorted {
  switch (origin ?? (text.startsWith(HTTP_TEXT) ? 'http' : undefined)) {
    case undefined:
    case 'etcd':
      break;
    case 'deadline':
      return TIMED_OUT;
    case 'stream':
    case 'transport':
      return status === undefined ? { kind: 'connection' } : byForeignStatus(status);
    case 'http':
    case 'tls':
    case 'dns':
      return UNAVAILABLE_MEMBER;
  }
  if (isEtcdText(text)) {
    return ETCD_TEXTS.find(([part]) => text.includes(part))?.[1] ?? byEtcdStatus(status);
  }
  // Said by the gRPC library in etcd, which knows no key and no lease: the request at hand is the one it means.
  if (status === RESOURCE_EXHAUSTED && isTooLarge(text)) return { kind: 'invalid-request' };
  return status === undefined ? { kind: 'connection' } : byForeignStatus(status);
}

/** How grpc-js tells of an HTTP answer. */
const HTTP_TEXT = 'Received HTTP status code';

/** Whether a message was larger than the receiver, or the sender, allows. */
export function isTooLarge(text: string): boolean {
  return text.includes('larger than max');
}

/** etcd's own errors begin so; those it forgot to name (UNKNOWN) with the part of etcd they come from. */
function isEtcdText(text: string): boolean {
  return text.includes('etcdserver: ') || /^(?:auth|mvcc|lease): /.test(text);
}

function byEtcdStatus(status: number | undefined): Sorted {
  switch (status) {
    case PERMISSION_DENIED:
      return { kind: 'permission-denied' };
    case UNAUTHENTICATED:
      return { kind: 'token' };
    case INVALID_ARGUMENT:
    case OUT_OF_RANGE:
    case UNIMPLEMENTED:
    case FAILED_PRECONDITION:
      return { kind: 'invalid-request' };
    case RESOURCE_EXHAUSTED:
      return { kind: 'busy', code: 'too-many-requests' };
    default:
      return UNAVAILABLE_MEMBER;
  }
}

/** Not etcd's word: the connection is retried, and the text is in the state. */
function byForeignStatus(status: number): Sorted {
  switch (status) {
    case DEADLINE_EXCEEDED:
      return TIMED_OUT;
    case RESOURCE_EXHAUSTED:
      return { kind: 'connection', code: 'too-many-requests' };
    case CANCELLED:
    case UNKNOWN:
    case INTERNAL:
      return { kind: 'connection' };
    default:
      return UNAVAILABLE_MEMBER;
  }
}
