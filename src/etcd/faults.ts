import { RxEtcdError, reasonOf, type RxEtcdErrorCode } from '../errors.ts';

/**
 * What kind of trouble a call or a stream ran into, as the state machines above see it.
 *
 * - `connection`: the connection or the member behind it; the member is given up and another one made.
 * - `busy`: this request failed, the member is fine; ask again after a delay.
 * - `token`: the auth token is no longer valid; a fresh one cures it.
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
  | 'compacted'
  | 'future-revision'
  | 'lease-gone'
  | 'lease-exists'
  | 'permission-denied'
  | 'unauthenticated'
  | 'client-closed'
  | 'invalid-request';

/** A failure of one call or stream, sorted. It stays inside: users see states, or an {@link RxEtcdError}. */
export class EtcdFault extends Error {
  override readonly name = 'EtcdFault';
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Sorts whatever a call or stream failed with. Faults pass through unchanged. */
export function toFault(error: unknown): EtcdFault {
  if (error instanceof EtcdFault) return error;
  const { code, details, message } = (error ?? {}) as { code?: unknown; details?: unknown; message?: unknown };
  const text =
    typeof details === 'string' && details !== '' ? details : typeof message === 'string' ? message : reasonOf(error);
  return new EtcdFault(kindOf(typeof code === 'number' ? code : undefined, text), text, { cause: error });
}

/** The public error for a fault that retrying cannot cure, or `undefined` when it can. */
export function fatalError(fault: EtcdFault): RxEtcdError | undefined {
  const hint = FATAL_HINTS[fault.kind];
  if (hint === undefined) return undefined;
  return new RxEtcdError(fault.kind as RxEtcdErrorCode, `${fault.message}: ${hint}`, { cause: fault.cause ?? fault });
}

const FATAL_HINTS: Partial<Record<FaultKind, string>> = {
  'permission-denied': 'grant the user a role with access to this range',
  unauthenticated: 'check the user name and password given to the etcd3 client',
  'client-closed': 'the etcd3 client was closed; make a new one',
  'invalid-request': 'etcd refused the request itself',
};

// gRPC status codes, https://grpc.io/docs/guides/status-codes/
const CANCELLED = 1;
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DEADLINE_EXCEEDED = 4;
const UNAUTHENTICATED = 16;

// etcd tells most of its errors apart by their text only; several share one status code.
const BY_TEXT: readonly (readonly [string, FaultKind])[] = [
  ['required revision has been compacted', 'compacted'],
  ['required revision is a future revision', 'future-revision'],
  ['requested lease not found', 'lease-gone'],
  ['invalid auth token', 'token'],
  ['revision of auth store is old', 'token'],
  ['revision in header is old', 'token'],
  // A member answers so when the call carried no token although auth is on: it was switched on since.
  ['user name is empty', 'token'],
  ['authentication failed', 'unauthenticated'],
  ['authentication is not enabled', 'busy'],
  ['permission denied', 'permission-denied'],
  ['too many requests', 'busy'],
  // A member cut off from the others answers so: the next member may not be.
  ['request timed out', 'connection'],
  ['leader changed', 'busy'],
  ['no leader', 'connection'],
  ['not leader', 'busy'],
  ['lease already exists', 'lease-exists'],
  ['database space exceeded', 'busy'],
  ['not capable', 'busy'],
  ['corrupt', 'busy'],
];

function kindOf(code: number | undefined, text: string): FaultKind {
  const known = BY_TEXT.find(([part]) => text.includes(part))?.[1];
  // Not the word of etcd but of whatever stands between: a socket's "permission denied" is weather too.
  if (known !== undefined && (code !== UNAVAILABLE || FATAL_HINTS[known] === undefined)) return known;
  switch (code) {
    case PERMISSION_DENIED:
      return 'permission-denied';
    case UNAUTHENTICATED:
      return 'token';
    case INVALID_ARGUMENT:
    case OUT_OF_RANGE:
    case UNIMPLEMENTED:
    case FAILED_PRECONDITION:
      return 'invalid-request';
    case CANCELLED:
    case DEADLINE_EXCEEDED:
    case INTERNAL:
    case UNAVAILABLE:
      return 'connection';
    default:
      // An unknown failure is weather until shown otherwise: it is retried, and its text is in the state.
      return 'connection';
  }
}
