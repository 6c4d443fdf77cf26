import type { ErrorOrigin } from './fault-table.ts';

export type { ErrorOrigin } from './fault-table.ts';

/** gRPC's status codes that are given or looked at here. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  UNAVAILABLE: 14,
} as const;

/**
 * A failed call or connection, as our HTTP/2 transport tells it: the `code` and `details` of a gRPC status, and where
 * they came from. `reason` is a short stable word where there is one, such as `certificate-expired`.
 */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  readonly details: string;
  readonly origin: ErrorOrigin;
  readonly reason: string | undefined;

  constructor(
    code: number,
    details: string,
    origin: ErrorOrigin,
    { reason, ...options }: ErrorOptions & { readonly reason?: string } = {},
  ) {
    super(details, options);
    this.code = code;
    this.details = details;
    this.origin = origin;
    this.reason = reason;
  }
}
