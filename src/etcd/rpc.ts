import { Observable } from 'rxjs';
import { toFault } from './faults.ts';

/** How one method is called: from etcd3's generated service definitions. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

export interface Methods {
  readonly range: MethodDefinition;
  readonly txn: MethodDefinition;
  readonly watch: MethodDefinition;
  readonly leaseGrant: MethodDefinition;
  readonly leaseRevoke: MethodDefinition;
  readonly leaseKeepAlive: MethodDefinition;
  readonly authenticate: MethodDefinition;
}

/** A bidirectional stream, as grpc gives it. */
export interface Duplex {
  write(request: object): boolean;
  end(): void;
  cancel(): void;
  on(event: 'data', listener: (response: never) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

/** The part of a generated grpc client that is used here. */
export interface GrpcClient {
  makeUnaryRequest(
    path: string,
    serialize: (request: object) => Buffer,
    deserialize: (bytes: Buffer) => unknown,
    request: object,
    options: CallOptions,
    callback: (error: Error | null, response?: unknown) => void,
  ): { cancel(): void };
  makeBidiStreamRequest(
    path: string,
    serialize: (request: object) => Buffer,
    deserialize: (bytes: Buffer) => unknown,
    options: CallOptions,
  ): Duplex;
  close(): void;
}

export interface CallOptions {
  readonly deadline?: number | Date;
  /** The deadline as a duration; for our own transport it is a bound on silence. */
  readonly timeoutMs?: number;
  /** The answer may take long, as long as bytes of it come. */
  readonly isLong?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * One unary call. Unsubscribing cancels it; a failure is an `EtcdFault`.
 *
 * @param timeoutMs after which it fails: a frozen member answers nothing, and etcd3 sets no bound.
 */
export function unary$<R>(
  client: GrpcClient,
  method: MethodDefinition,
  request: object,
  options: CallOptions,
  timeoutMs: number,
  nowMs: () => number,
): Observable<R> {
  return new Observable<R>((subscriber) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { ...options, deadline: nowMs() + timeoutMs, timeoutMs },
      (error, response) => {
        if (error !== null) {
          subscriber.error(toFault(error));
        } else {
          subscriber.next(response as R);
          subscriber.complete();
        }
      },
    );
    return () => {
      call.cancel();
    };
  });
}
