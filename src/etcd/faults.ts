import { RxEtcdError, passingError, reasonOf, type PassingError, type PassingErrorCode } from '../errors.ts';
import type { ErrorOrigin } from './fault-table.ts';
import { FINAL_HINTS, sortFault, type FaultKind, type FinalKind } from './fault-table.ts';

export type { ErrorOrigin, FaultKind } from './fault-table.ts';

interface FaultOptions extends ErrorOptions {
  /** What users see as the `code` of a state's cause. Default: what the kind says. */
  readonly code?: PassingErrorCode;
}

/**
 * A failure of one call or stream, sorted. It stays inside: users see an {@link RxEtcdError}, made by
 * {@link EtcdFault.passing} for states and by {@link fatalError} for what ends a stream.
 */
export class EtcdFault extends Error {
  override readonly name = 'EtcdFault';
  readonly kind: FaultKind;
  readonly code: PassingErrorCode;
  #passing: PassingError | undefined;

  constructor(
    kind: FaultKind,
    message: string,
    { code = CODES[kind] ?? 'unavailable', ...options }: FaultOptions = {},
  ) {
    super(message, options);
    this.kind = kind;
    this.code = code;
  }

  /** The same fault as the `cause` of a state: the same object each time it is asked for. */
  get passing(): PassingError {
    return (this.#passing ??= passingError(this.code, this.message, { cause: publicCause(this.cause) }));
  }
}

// What a kind is called where nothing says more.
const CODES: Partial<Record<FaultKind, PassingErrorCode>> = {
  connection: 'connection-lost',
  token: 'token-expired',
  'auth-revision': 'token-expired',
  compacted: 'compacted',
  'lease-gone': 'lease-lost',
};

/**
 * Sorts whatever a call or stream failed with; faults pass through unchanged. `origin` says where it came from, where
 * the error does not.
 */
export function toFault(error: unknown, origin?: ErrorOrigin): EtcdFault {
  if (error instanceof EtcdFault) return error;
  if (error instanceof RxEtcdError) {
    const kind = error.code in FINAL_HINTS ? (error.code as FinalKind) : 'invalid-request';
    return new EtcdFault(kind, error.message, { cause: error });
  }
  const { code: status, details, message, origin: told } = fieldsOf(error);
  const text =
    typeof details === 'string' && details !== '' ? details : typeof message === 'string' ? message : reasonOf(error);
  const from = origin ?? (typeof told === 'string' ? (told as ErrorOrigin) : undefined);
  const { kind, code } = sortFault(typeof status === 'number' ? status : undefined, text, from);
  return new EtcdFault(kind, text, { ...(code !== undefined && { code }), cause: error });
}

/** The public error for a fault that retrying cannot cure, or `undefined` when it can. */
export function fatalError(fault: EtcdFault): RxEtcdError | undefined {
  const { kind, cause } = fault;
  if (!(kind in FINAL_HINTS)) return undefined;
  // Sorted before, its message has the hint.
  if (cause instanceof RxEtcdError) return cause;
  const hint = FINAL_HINTS[kind as FinalKind];
  const message = hint === '' || fault.message.endsWith(hint) ? fault.message : `${fault.message}: ${hint}`;
  return new RxEtcdError(kind as FinalKind, message, { cause: publicCause(cause) ?? fault.passing });
}

/** The same fault with a secret taken out of its text: a front can repeat the auth token in its answer. */
export function withoutSecret(fault: EtcdFault, secret: string | undefined): EtcdFault {
  if (secret === undefined || secret.length < MIN_SECRET_LENGTH || !fault.message.includes(secret)) return fault;
  const { kind, code } = fault;
  return new EtcdFault(kind, fault.message.replaceAll(secret, '<token>'), { code });
}

/** Shorter ones would be found by chance in the middle of a sentence. */
const MIN_SECRET_LENGTH = 4;

/** What a user sees of the error below a fault: its code and text, without the metadata that calls carry. */
function publicCause(cause: unknown): Error | undefined {
  if (cause instanceof EtcdFault) return cause.passing;
  if (cause instanceof RxEtcdError) return cause;
  const { code, message } = fieldsOf(cause);
  if (typeof message !== 'string') return undefined;
  const copy = new Error(message);
  return typeof code === 'number' || typeof code === 'string' ? Object.assign(copy, { code }) : copy;
}

function fieldsOf(error: unknown): { code?: unknown; details?: unknown; message?: unknown; origin?: unknown } {
  return error ?? {};
}
