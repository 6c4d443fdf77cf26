/**
 * Why something ended, as a stable string to switch on: thrown at the call, or an error notification. Asking again
 * would not help.
 *
 * - `invalid-argument`: thrown at the call; the message names the argument.
 * - `unsupported-client`: thrown at the call; the client is not one this library can speak through.
 * - `permission-denied`: etcd's role-based access control refused it.
 * - `unauthenticated`: etcd refused the user's name or password.
 * - `client-closed`: the etcd3 client was closed.
 * - `invalid-request`: etcd refused the request itself, or it is larger than the server allows.
 * - `retries-exhausted`: there were more failures in a row than `maxRetries` allows; `cause` is the last one.
 * - `key-conflict`: another owner holds the key, and the conflict policy says to give up.
 * - `decode-failed`: bytes could not be read as what they should be.
 * - `no-host`: a call waited for a host longer than it was allowed to.
 * - `stale`: what is known is older than was allowed.
 * - `callback-failed`: a function given by the user threw, or gave what it must not; `cause` is what it threw.
 */
export type FinalErrorCode =
  | 'invalid-argument'
  | 'unsupported-client'
  | 'permission-denied'
  | 'unauthenticated'
  | 'client-closed'
  | 'invalid-request'
  | 'retries-exhausted'
  | 'key-conflict'
  | 'decode-failed'
  | 'no-host'
  | 'stale'
  | 'callback-failed';

/**
 * Why a state is not what one would wish, as a stable string to switch on: the `code` of a state's `cause`. It passes;
 * the request is retried.
 *
 * - `unavailable`: no member can be reached, or the member says that it cannot serve now.
 * - `connection-lost`: the connection in use broke, or the member on it fell silent.
 * - `no-leader`: the cluster has no leader at the moment, or just got another one.
 * - `timeout`: no answer came in time.
 * - `token-expired`: the auth token is no longer accepted; a new one is asked for.
 * - `too-many-requests`: etcd is asked for more than it can handle.
 * - `store-full`: etcd has reached its storage quota and takes no writes.
 * - `compacted`: the asked revision was compacted away meanwhile.
 * - `lease-lost`: the lease expired or was revoked.
 * - `invalid-answer`: an answer cannot be read, or contradicts its request.
 * - `key-conflict`: another owner holds the key, or took it.
 * - `stale`: nothing is known yet, or only what was remembered.
 */
export type PassingErrorCode =
  | 'unavailable'
  | 'connection-lost'
  | 'no-leader'
  | 'timeout'
  | 'token-expired'
  | 'too-many-requests'
  | 'store-full'
  | 'compacted'
  | 'lease-lost'
  | 'invalid-answer'
  | 'key-conflict'
  | 'stale';

/** Every `code` there is: those that end a stream, and those that pass as the `cause` of a state. */
export type RxEtcdErrorCode = FinalErrorCode | PassingErrorCode;

/**
 * The one error class of this library, told apart by `code`.
 *
 * A bad argument throws it at the call; what retrying cannot cure arrives as an error notification, with a
 * {@link FinalErrorCode}. Faults that pass (a lost connection, a member without a leader) never end a stream: they are
 * the `cause` of a state, with a {@link PassingErrorCode}, and are retried.
 *
 * @example
 * ```ts
 * import { RxEtcdError } from 'rx-etcd';
 *
 * const error = new RxEtcdError('client-closed', 'the etcd3 client was closed');
 * console.log(error.code); // client-closed
 * ```
 */
export class RxEtcdError extends Error {
  override readonly name = 'RxEtcdError';
  readonly code: RxEtcdErrorCode;

  constructor(code: RxEtcdErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The `cause` of a state: an {@link RxEtcdError} whose `code` is one of those that pass. */
export type PassingError = RxEtcdError & { readonly code: PassingErrorCode };

/** The error for what passes. */
export function passingError(code: PassingErrorCode, message: string, options?: ErrorOptions): PassingError {
  return new RxEtcdError(code, message, options) as PassingError;
}

/** The error for a bad argument: names it, says what was wanted and what came. */
export function invalidArgument(argument: string, wanted: string, got: unknown): RxEtcdError {
  return new RxEtcdError('invalid-argument', `${argument}: expected ${wanted}, got ${describe(got)}`);
}

/** The error for a function of the user's that threw: retrying would hide it. `argument` names the function. */
export function callbackFailed(argument: string, thrown: unknown): RxEtcdError {
  if (thrown instanceof RxEtcdError) return thrown;
  return new RxEtcdError('callback-failed', `${argument} threw an error: ${reasonOf(thrown)}`, { cause: thrown });
}

/** The text of anything that was thrown, also of a value that has none. */
export function reasonOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return 'something without a text';
  }
}

/** A key or a name in a message: without control characters, and not longer than a message should be. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/** What came, without looking into it: anything can come, however large and deep. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return value instanceof Promise ? 'a Promise' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
