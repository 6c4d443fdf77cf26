import { connect, type IncomingHttpHeaders, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { FrameReader, frame } from '../../../src/testing/wire/frames.ts';
import { methods, type EtcdMethod, type RequestOf, type ResponseOf } from '../../../src/testing/wire/methods.ts';
import type { PartialMessage } from '../../../src/testing/wire/protobuf.ts';

const MAX_BYTES = 64 * 1024 * 1024;

/** How a call ended: with its answer, or with etcd's code and text. */
export type Outcome<M extends EtcdMethod> = ResponseOf<M> | { readonly code: number; readonly message: string };

/** A client that changes nothing and asks nothing again, for any etcd. */
export class RawClient {
  readonly #host: string;
  #session: ClientHttp2Session;

  constructor(host: string) {
    this.#host = host;
    this.#session = this.#connect();
  }

  call<M extends EtcdMethod>(method: M, request: PartialMessage<RequestOf<M>>): Promise<Outcome<M>> {
    return new Promise((resolve, reject) => {
      let answer: ResponseOf<M> | undefined;
      const stream = this.#open(
        method,
        (message) => (answer = message),
        reject,
        (code, message) => {
          if (code !== 0) resolve({ code, message });
          else if (answer === undefined) reject(new Error(`${method} was not answered`));
          else resolve(answer);
        },
      );
      stream.end(frame(methods[method].request.encode(request)));
    });
  }

  stream<M extends EtcdMethod>(
    method: M,
    onAnswer: (answer: ResponseOf<M>) => void,
  ): { send(request: PartialMessage<RequestOf<M>>): void; close(): void } {
    const stream = this.#open(
      method,
      onAnswer,
      () => undefined,
      () => undefined,
    );
    return {
      send: (request) => stream.write(frame(methods[method].request.encode(request))),
      close: () => {
        stream.close(8);
      },
    };
  }

  reconnect(): void {
    this.close();
    this.#session = this.#connect();
  }

  close(): void {
    this.#session.destroy();
  }

  #connect(): ClientHttp2Session {
    const session = connect(this.#host, { settings: { initialWindowSize: 1 << 24 } });
    session.on('error', () => undefined);
    return session;
  }

  #open<M extends EtcdMethod>(
    method: M,
    onAnswer: (answer: ResponseOf<M>) => void,
    onError: (error: unknown) => void,
    onStatus: (code: number, message: string) => void,
  ): ClientHttp2Stream {
    const stream = this.#session.request(
      { ':method': 'POST', ':path': methods[method].path, 'content-type': 'application/grpc', te: 'trailers' },
      { endStream: false },
    );
    const frames = new FrameReader(MAX_BYTES);
    let status: IncomingHttpHeaders = {};
    stream.on('response', (headers: IncomingHttpHeaders) => (status = headers));
    stream.on('trailers', (headers: IncomingHttpHeaders) => (status = headers));
    stream.on('data', (piece: Buffer) => {
      for (const bytes of frames.push(piece)) onAnswer(methods[method].response.decode(bytes));
    });
    stream.on('error', onError);
    stream.on('close', () => {
      onStatus(Number(status['grpc-status'] ?? -1), decodeURIComponent([status['grpc-message'] ?? ''].join()));
    });
    return stream;
  }
}
