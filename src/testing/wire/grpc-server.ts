import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { reasonOf } from '../../errors.ts';
import { FrameReader, frame } from './frames.ts';
import { encodeStatusMessage, GrpcError } from './grpc-error.ts';
import { methodOfPath, methods, type EtcdMethod, type RequestOf, type ResponseOf } from './methods.ts';
import type { PartialMessage } from './protobuf.ts';

/** One call as a service sees it. Nothing is sent once it is over. */
export interface ServerCall<M extends EtcdMethod> {
  readonly method: M;
  readonly headers: IncomingHttpHeaders;
  send(answer: PartialMessage<ResponseOf<M>>): void;
  /** Sends the one answer, and ends the call with it. */
  reply(answer: PartialMessage<ResponseOf<M>>): void;
  /** Ends it well. */
  end(): void;
  fail(error: GrpcError): void;
}

/** What a service does with a call. */
export interface CallListener<M extends EtcdMethod> {
  message(request: RequestOf<M>): void;
  /** The client will send no more. */
  halfClosed(): void;
  /** It is over, however it ended. */
  closed(): void;
}

export type CallHandler<M extends EtcdMethod> = (call: ServerCall<M>) => CallListener<M>;
export type CallHandlers = { readonly [M in EtcdMethod]: CallHandler<M> };

/** Stands between the services and the wire, for what a test wants to go wrong. */
export interface CallInterceptor {
  /** Every request before its service sees it: that waits for the promise, if there is one. May fail with a `GrpcError`. */
  request<M extends EtcdMethod>(call: ServerCall<M>, request: RequestOf<M>): Promise<void> | undefined;
  /** The messages to send instead of an answer; without any the call stays unanswered. May fail with a `GrpcError`. */
  answer<M extends EtcdMethod>(
    call: ServerCall<M>,
    answer: PartialMessage<ResponseOf<M>>,
    request: RequestOf<M>,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
}

/** What etcd takes at most: 1.5 MiB, and 512 KiB for what is around it. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

/** An HTTP/2 server that answers etcd's methods. It listens nowhere: connections are given to it as `connection` events. */
export function createGrpcServer(handlers: CallHandlers, interceptor: CallInterceptor): Http2Server {
  const server = createServer({
    settings: { initialWindowSize: 1 << 20, maxConcurrentStreams: 0xffff_ffff },
    maxSessionInvalidFrames: 100_000,
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    const path = String(headers[':path']);
    const method = methodOfPath(path);
    if (method === undefined) endAtOnce(stream, unknownMethod(path));
    else serve(stream, method, headers, handlers, interceptor);
  });
  server.on('sessionError', () => undefined);
  return server;
}

// Generic, so that a request and its answer stay tied.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the body uses it
function serve<M extends EtcdMethod>(
  stream: ServerHttp2Stream,
  method: M,
  headers: IncomingHttpHeaders,
  handlers: CallHandlers,
  interceptor: CallInterceptor,
): void {
  const { request: requestType, streams } = methods[method];
  const frames = new FrameReader(MAX_MESSAGE_BYTES);
  const incoming = inOrder(fail);
  const outgoing = inOrder(fail);
  let lastRequest: RequestOf<M> | undefined;
  let isOver = false;

  const answerWith = (answer: PartialMessage<ResponseOf<M>>, isLast: boolean): void => {
    const request = lastRequest as RequestOf<M>;
    outgoing(
      () => interceptor.answer(call, answer, request),
      (messages) => {
        for (const message of messages) write(message);
        if (isLast && messages.length > 0) finish(undefined);
      },
    );
  };
  const call: ServerCall<M> = {
    method,
    headers,
    send(answer) {
      if (!isOver) answerWith(answer, false);
    },
    reply(answer) {
      if (!isOver) answerWith(answer, true);
    },
    end() {
      outgoing(
        () => undefined,
        () => {
          finish(undefined);
        },
      );
    },
    fail(error) {
      outgoing(
        () => undefined,
        () => {
          finish(error);
        },
      );
    },
  };
  const listener = handlers[method](call);

  stream.on('data', (piece: Buffer) => {
    if (isOver) return;
    try {
      for (const bytes of frames.push(piece)) receive(bytes);
    } catch (error) {
      fail(error);
    }
  });
  stream.on('end', () => {
    incoming(
      () => undefined,
      () => {
        if (!isOver) listener.halfClosed();
      },
    );
  });
  stream.on('close', () => {
    isOver = true;
    listener.closed();
  });

  function receive(bytes: Buffer): void {
    const request = decode(bytes);
    incoming(
      () => interceptor.request(call, request),
      () => {
        if (isOver) return;
        lastRequest = request;
        listener.message(request);
      },
    );
  }

  function write(message: Uint8Array): void {
    if (isOver || stream.destroyed) return;
    if (!stream.headersSent) stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
    stream.write(frame(message));
  }

  function fail(error: unknown): void {
    finish(error instanceof GrpcError ? error : new GrpcError('UNKNOWN', reasonOf(error)));
  }

  function finish(error: GrpcError | undefined): void {
    if (isOver || stream.destroyed) return;
    isOver = true;
    if (!stream.headersSent) {
      endAtOnce(stream, error);
      return;
    }
    stream.once('wantTrailers', () => {
      stream.sendTrailers(statusHeaders(error));
      // What the client still had to send is of no use: as Go's server, tell it so.
      if (streams) stream.close();
    });
    stream.end();
  }

  function decode(bytes: Buffer): RequestOf<M> {
    try {
      return requestType.decode(bytes);
    } catch (error) {
      throw new GrpcError('INTERNAL', `grpc: error unmarshalling request: ${reasonOf(error)}`);
    }
  }
}

type Turns = <R>(work: () => R | Promise<R>, then: (result: R) => void) => void;

/**
 * Runs work one after another: `then` at once when `work` gives no promise and nothing is before it, else when its turn
 * has come. What fails goes to `onError`.
 */
function inOrder(onError: (error: unknown) => void): Turns {
  let last: Promise<unknown> | undefined;
  return (work, then) => {
    try {
      const result = last === undefined ? work() : last.then(work);
      if (!(result instanceof Promise)) {
        then(result);
        return;
      }
      const turn = result.then(then).catch(onError);
      last = turn;
      void turn.then(() => {
        if (last === turn) last = undefined;
      });
    } catch (error) {
      onError(error);
    }
  };
}

const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

function endAtOnce(stream: ServerHttp2Stream, error: GrpcError | undefined): void {
  if (stream.destroyed) return;
  stream.respond({ ...RESPONSE_HEADERS, ...statusHeaders(error) }, { endStream: true });
  stream.resume();
}

function statusHeaders(error: GrpcError | undefined): Record<string, string> {
  if (error === undefined) return { 'grpc-status': '0', 'grpc-message': '' };
  return { 'grpc-status': String(error.number), 'grpc-message': encodeStatusMessage(error.message) };
}

function unknownMethod(path: string): GrpcError {
  const [, service = '', method = ''] = /^\/(.*)\/([^/]*)$/.exec(path) ?? [];
  const isKnown = Object.values(methods).some((each) => each.path.startsWith(`/${service}/`));
  return new GrpcError(
    'UNIMPLEMENTED',
    isKnown ? `unknown method ${method} for service ${service}` : `unknown service ${service}`,
  );
}
