import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { reasonOf } from '../../errors.ts';
import type { QueuedTimer } from '../../time/timer-queue.ts';
import { RpcError, STATUS } from '../rpc-error.ts';
import { FrameReader } from './frames.ts';
import { KEPT_BODY_BYTES, httpError, httpProblem, statusOf } from './status.ts';
import { constantName, type Transport } from './transport.ts';

/** What a call needs of its channel. */
export interface CallHost {
  readonly maxReceiveBytes: number;
  /** The call is over, however. */
  onOver(call: Call): void;
}

/** What becomes of a call. None is called after {@link Call.cancel}, and one of `onOk` and `onError` ends it. */
export interface CallEvents {
  onMessage(message: Buffer): void;
  onOk(): void;
  onError(error: RpcError): void;
}

/**
 * One gRPC call over one HTTP/2 stream: reads messages out of what comes, and the status that ends it. What is no answer
 * of gRPC, or none that is complete, is an error that says so.
 *
 * @source https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class Call implements QueuedTimer {
  dueMs: number | undefined = undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly #host: CallHost;
  readonly #events: CallEvents;
  readonly #reader: FrameReader;
  readonly #onTimer: (() => void) | undefined;
  #stream: ClientHttp2Stream | undefined;
  #transport: Transport | undefined;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #problem: string | undefined;
  #fault: Error | undefined;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  /** Frames written before the stream was started, or in this turn: they go out as one piece. */
  #unsent: Buffer[] = [];
  #flushes = false;
  #ends = false;
  #isOver = false;
  /** How many bytes came so far: a caller's bound on silence looks whether they grow. */
  receivedBytes = 0;

  constructor(
    headers: Readonly<Record<string, string>>,
    host: CallHost,
    events: CallEvents,
    onTimer: (() => void) | undefined,
  ) {
    this.headers = headers;
    this.#host = host;
    this.#events = events;
    this.#reader = new FrameReader(host.maxReceiveBytes);
    this.#onTimer = onTimer;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether all that was written has left this process, as far as it can be seen. */
  get isSent(): boolean {
    return this.#stream !== undefined && this.#unsent.length === 0 && this.#stream.writableLength === 0;
  }

  get transport(): Transport | undefined {
    return this.#transport;
  }

  fire(): void {
    this.#onTimer?.();
  }

  /** Begins the stream. What was written before goes out now. */
  start(transport: Transport): void {
    let stream: ClientHttp2Stream;
    try {
      stream = transport.start(this.headers);
    } catch (error) {
      this.fail(
        new RpcError(STATUS.UNAVAILABLE, `a call cannot be made: ${reasonOf(error)}`, 'stream', { cause: error }),
      );
      return;
    }
    this.#stream = stream;
    this.#transport = transport;
    stream.on('response', (headers: IncomingHttpHeaders) => {
      this.#headers = headers;
      this.#problem = httpProblem(headers);
    });
    stream.on('trailers', (trailers: IncomingHttpHeaders) => {
      this.#trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) => {
      this.#receive(chunk, transport);
    });
    stream.on('end', () => {
      this.#end();
    });
    stream.on('error', (error: Error) => {
      this.#fault = error;
      this.#end();
    });
    stream.on('close', () => {
      this.#end();
    });
    this.#flush();
  }

  write(frame: Buffer): void {
    if (this.#isOver || this.#ends) return;
    this.#unsent.push(frame);
    if (this.#stream === undefined || this.#flushes) return;
    // One piece for all that is written in this turn: hundreds of renewals are.
    this.#flushes = true;
    queueMicrotask(() => {
      this.#flush();
    });
  }

  end(): void {
    if (this.#isOver || this.#ends) return;
    this.#ends = true;
    if (this.#stream !== undefined && !this.#flushes) this.#flush();
  }

  /** Holds the server back: what has come is kept, and no more is asked for than a window. */
  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Ends it, without telling. */
  cancel(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  /** Ends it with an error. */
  fail(error: RpcError): void {
    if (this.#isOver) return;
    this.#finish();
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#events.onError(error);
  }

  #flush(): void {
    this.#flushes = false;
    const stream = this.#stream;
    if (this.#isOver || stream === undefined || stream.destroyed || stream.closed) return;
    const [first] = this.#unsent;
    if (first !== undefined) {
      const bytes = this.#unsent.length === 1 ? first : Buffer.concat(this.#unsent);
      this.#unsent = [];
      if (this.#ends) stream.end(bytes);
      else stream.write(bytes);
    } else if (this.#ends) stream.end();
  }

  #receive(chunk: Buffer, transport: Transport): void {
    transport.heard();
    if (this.#isOver) return;
    this.receivedBytes += chunk.length;
    if (this.#problem !== undefined) {
      if (this.#bodyBytes < KEPT_BODY_BYTES) this.#body.push(chunk);
      this.#bodyBytes += chunk.length;
      return;
    }
    try {
      this.#reader.push(chunk, this.#onMessage);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.fail(error);
    }
  }

  readonly #onMessage = (message: Buffer): void => {
    if (!this.#isOver) this.#events.onMessage(message);
  };

  /** The stream is over, in order or not. */
  #end(): void {
    if (this.#isOver) return;
    const stream = this.#stream as ClientHttp2Stream;
    const status = this.#status(stream);
    if (status === undefined) return;
    this.#finish();
    // The server may end before we do: our half is closed too, or the stream would stay.
    if (!stream.closed && !this.#ends) stream.close(constants.NGHTTP2_NO_ERROR);
    if (status === 'ok') this.#events.onOk();
    else this.#events.onError(status);
  }

  /** `undefined`: not known yet. */
  #status(stream: ClientHttp2Stream): 'ok' | RpcError | undefined {
    if (this.#problem !== undefined) {
      return httpError(this.#problem, Buffer.concat(this.#body).subarray(0, KEPT_BODY_BYTES));
    }
    const status = statusOf(this.#trailers ?? {}) ?? statusOf(this.#headers ?? {});
    if (status === 'ok' && this.#reader.isPending) return interrupted('the answer ends within a message');
    if (status !== undefined) return status;
    // With the connection lost, the transport tells why, a moment later.
    if (this.#transport?.isBroken === true) return undefined;
    const code = stream.rstCode;
    if (stream.closed && code !== constants.NGHTTP2_NO_ERROR) {
      return interrupted(`the stream was reset (${constantName(code)})`);
    }
    if (this.#fault !== undefined) return interrupted(`the stream failed: ${this.#fault.message}`);
    return interrupted('the answer ends without a gRPC status');
  }

  #finish(): void {
    this.#isOver = true;
    this.#unsent = [];
    this.#body = [];
    this.#host.onOver(this);
  }
}

function interrupted(details: string): RpcError {
  return new RpcError(STATUS.UNAVAILABLE, details, 'stream');
}
