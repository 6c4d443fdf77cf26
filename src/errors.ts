/**
 * What went wrong, as a stable string to switch on.
 *
 * - `invalid-argument`: thrown at the call; the message names the argument.
 * - `unsupported-client`: thrown at the call; the client is not one this library can speak through.
 * - `permission-denied`: etcd's role-based access control refused it.
 * - `unauthenticated`: etcd refused the user's name or password.
 * - `client-closed`: the etcd3 client was closed.
 * - `invalid-request`: etcd refused the request itself; asking again would not help.
 * - `retries-exhausted`: the bound set by a `retry` option was reached; `cause` is the last fault.
 * - `key-conflict`: another owner holds the key, and the conflict policy says to give up.
 * - `decode-failed`: bytes could not be read as what they should be.
 * - `no-host`: a call waited for a host longer than it was allowed to.
 * - `stale`: what is known is older than was allowed.
 * - `callback-failed`: a function given by the user threw, or gave what it must not; `cause` is what it threw.
 */
export type RxEtcdErrorCode =
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
 * The one error class of this library: what retrying cannot cure.
 *
 * A bad argument throws it at the call; anything later arrives as an error notification. Faults that
 * pass (a lost connection, a member without a leader) never become one: they are states, and retried.
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

/** The error for a bad argument: names it, says what was wanted and what came. */
export function invalidArgument(argument: string, wanted: string, got: unknown): RxEtcdError {
  return new RxEtcdError('invalid-argument', `${argument}: expected ${wanted}, got ${describe(got)}`);
}

/** The error for a function of the user's that threw: retrying would hide it. `argument` names the function. */
export function callbackFailed(argument: string, thrown: unknown): RxEtcdError {
  if (thrown instanceof RxEtcdError) return thrown;
  return new RxEtcdError('callback-failed', `${argument} threw an error: ${reasonOf(thrown)}`, { cause: thrown });
}

/** What was thrown, as text. Anything can be thrown, also what has no text. */
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
function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return value instanceof Promise ? 'a Promise' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
