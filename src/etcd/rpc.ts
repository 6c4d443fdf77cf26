import { Observable } from 'rxjs';
import { toFault } from './faults.ts';

/** How one method is called: from etcd3's generated service definitions. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
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
  getChannel(): {
    getConnectivityState(connect: boolean): number;
    watchConnectivityState(current: number, deadline: number, callback: (error?: Error) => void): void;
  };
  close(): void;
}

export interface CallOptions {
  readonly deadline?: number | Date;
  readonly interceptors?: readonly unknown[];
}

interface StartableCall {
  start(metadata: { set(key: string, value: string): void }, listener?: unknown): void;
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
      { ...options, deadline: nowMs() + timeoutMs },
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

/**
 * An interceptor that adds metadata to a call. It goes round grpc's own Metadata class on purpose: that
 * class must be of the very copy of grpc that etcd3 uses, which only etcd3 can name.
 */
export function withMetadata(entries: Readonly<Record<string, string>>): unknown {
  return (options: unknown, nextCall: (options: unknown) => StartableCall): StartableCall => {
    const call = nextCall(options);
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
      start(metadata, listener);
    };
    return call;
  };
}
