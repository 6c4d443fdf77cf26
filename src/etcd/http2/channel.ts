import { RpcError, STATUS } from '../rpc-error.ts';
import { Call, type CallHost } from './call.ts';
import { frameOf } from './frames.ts';
import { Transport, type TransportListener, type TransportOptions } from './transport.ts';

export interface ChannelOptions extends TransportOptions {
  /** HTTP/2's `:authority`. */
  readonly authority: string;
  readonly userAgent: string;
  /** Of a message; -1 for no bound. */
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
}

export interface ChannelListener {
  onReady(): void;
  /** No new call is started any more, those there are go on for a while: it is time for another channel. */
  onDraining(): void;
  /** It is over. The calls were told before. */
  onFailed(error: RpcError): void;
}

export type Metadata = Readonly<Record<string, string>>;

export interface UnaryOptions {
  readonly metadata: Metadata;
  /** Bound on silence: it fails when for so long no byte of it was sent or came. */
  readonly silenceMs: number;
  /** Told to the server, which gives up then. */
  readonly timeoutMs?: number | undefined;
}

export interface DuplexEvents {
  onMessage(message: Buffer): void;
  onEnd(): void;
  onError(error: RpcError): void;
}

export interface DuplexCall {
  write(message: Uint8Array): void;
  end(): void;
  /** Ends it without telling. */
  cancel(): void;
  pause(): void;
  resume(): void;
}

/** So many streams a client needs at once: a watch, the renewals, and calls beside them. */
const NEEDED_STREAMS = 4;

/** A timer that fires so much late says that this process did not run: what came meanwhile is not read yet. */
const LATE_MS = 500;

/**
 * The calls of one member: unary ones, and streams in both directions, over one HTTP/2 connection. Should the server
 * allow too few streams on one, further connections are made. Calls wait for the connection, and for their turn; when a
 * connection is lost, the channel and all its calls are.
 */
export class Channel implements CallHost, TransportListener {
  readonly maxReceiveBytes: number;
  readonly #options: ChannelOptions;
  readonly #listener: ChannelListener;
  readonly #transports: Transport[] = [];
  readonly #calls = new Set<Call>();
  /** Calls that wait for a stream, first come first served. */
  readonly #waiting = new Set<Call>();
  readonly #scheme: 'http' | 'https';
  #isReady = false;
  #isDraining = false;
  #isClosed = false;

  constructor(options: ChannelOptions, listener: ChannelListener) {
    this.#options = options;
    this.#listener = listener;
    this.#scheme = options.tls === undefined ? 'http' : 'https';
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.#connect();
  }

  /** One message there, one back. Calls back once, never synchronously, unless it is cancelled. */
  unary(
    path: string,
    message: Uint8Array,
    options: UnaryOptions,
    done: (result: Buffer | RpcError) => void,
  ): { cancel(): void } {
    const { metadata, silenceMs, timeoutMs } = options;
    let answer: Buffer | undefined;
    let seenBytes = 0;
    let seenWritten = 0;
    const { timers } = this.#options;
    const call: Call = new Call(
      this.#headers(path, metadata, timeoutMs),
      this,
      {
        onMessage: (received) => {
          if (answer === undefined) answer = received;
          else call.fail(new RpcError(STATUS.UNAVAILABLE, 'more than one message in an answer', 'stream'));
        },
        onOk: () => {
          done(answer ?? new RpcError(STATUS.UNAVAILABLE, 'an answer without a message', 'stream'));
        },
        onError: done,
      },
      () => {
        const lateMs = timers.nowMs() - dueMs;
        const written = call.isSent ? seenWritten : (call.transport?.bytesWritten ?? 0);
        if (call.receivedBytes > seenBytes || written > seenWritten) arm(silenceMs);
        else if (lateMs > LATE_MS) arm(LATE_MS);
        else {
          const what = seenBytes === 0 ? 'no answer' : 'no more of an answer';
          const where = this.#options.endpoint.name;
          call.fail(new RpcError(STATUS.DEADLINE_EXCEEDED, `${what} from ${where} within ${silenceMs} ms`, 'deadline'));
        }
      },
    );
    let dueMs = 0;
    const arm = (delayMs: number): void => {
      seenBytes = call.receivedBytes;
      seenWritten = call.transport?.bytesWritten ?? 0;
      // Many calls share a time: it is a bound, not an appointment.
      timers.set(call, delayMs, delayMs / 16);
      dueMs = call.dueMs ?? 0;
    };
    arm(silenceMs);
    call.write(frameOf(message));
    call.end();
    this.#add(call, message.length);
    return call;
  }

  /** A stream in both directions. */
  duplex(path: string, metadata: Metadata, events: DuplexEvents): DuplexCall {
    const call = new Call(
      this.#headers(path, metadata, undefined),
      this,
      {
        onMessage: (message) => {
          events.onMessage(message);
        },
        onOk: () => {
          events.onEnd();
        },
        onError: (error) => {
          events.onError(error);
        },
      },
      undefined,
    );
    this.#add(call, 0);
    return {
      write: (message) => {
        call.write(frameOf(message));
      },
      end: () => {
        call.end();
      },
      cancel: () => {
        call.cancel();
      },
      pause: () => {
        call.pause();
      },
      resume: () => {
        call.resume();
      },
    };
  }

  /** Ends all of it, without telling. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const call of [...this.#calls]) call.cancel();
    for (const transport of this.#transports) transport.close();
  }

  onReady(): void {
    if (this.#isClosed) return;
    if (!this.#isReady) {
      this.#isReady = true;
      this.#listener.onReady();
    }
    this.onSlot();
  }

  onSlot(): void {
    if (this.#isClosed || this.#isDraining) return;
    for (const call of this.#waiting) {
      const transport = this.#transports.find(({ hasSlot }) => hasSlot);
      if (transport === undefined) break;
      this.#waiting.delete(call);
      call.start(transport);
    }
    if (this.#waiting.size > 0) this.#widen();
  }

  onDraining(): void {
    if (this.#isClosed || this.#isDraining) return;
    this.#isDraining = true;
    this.#listener.onDraining();
  }

  onFailed(error: RpcError): void {
    if (this.#isClosed) return;
    // Ended in order and with nothing under way: the successor comes, and calls that wait go to it.
    if (this.#isDraining && this.#calls.size === this.#waiting.size) return;
    this.#isClosed = true;
    for (const call of [...this.#calls]) call.fail(error);
    for (const transport of this.#transports) transport.close();
    this.#listener.onFailed(error);
  }

  onOver(call: Call): void {
    this.#calls.delete(call);
    this.#waiting.delete(call);
    this.#options.timers.cancel(call);
  }

  #add(call: Call, messageBytes: number): void {
    this.#calls.add(call);
    const { maxSendBytes } = this.#options;
    if (this.#isClosed || (maxSendBytes >= 0 && messageBytes > maxSendBytes)) {
      const error = this.#isClosed
        ? new RpcError(STATUS.UNAVAILABLE, 'the connection is closed', 'transport')
        : new RpcError(
            STATUS.RESOURCE_EXHAUSTED,
            `a request of ${messageBytes} bytes is larger than max (${maxSendBytes}, grpc.max_send_message_length)`,
            // As etcd's own gRPC would answer: it concerns this request alone.
            'etcd',
            { reason: 'too-large' },
          );
      queueMicrotask(() => {
        call.fail(error);
      });
      return;
    }
    const transport =
      this.#isDraining || this.#waiting.size > 0 ? undefined : this.#transports.find(({ hasSlot }) => hasSlot);
    if (transport === undefined) {
      this.#waiting.add(call);
      if (this.#isReady) this.#widen();
    } else call.start(transport);
  }

  /** Another connection, when those there are do not allow the streams that are needed. */
  #widen(): void {
    if (this.#isDraining) return;
    let allowed = 0;
    for (const transport of this.#transports) {
      // Still connecting: what it will allow is not known.
      if (transport.maxActive === 0 && !transport.wasReady) return;
      allowed += transport.maxActive;
    }
    if (allowed < NEEDED_STREAMS && this.#transports.length < NEEDED_STREAMS) this.#connect();
  }

  #connect(): void {
    this.#transports.push(new Transport(this.#options, this));
  }

  #headers(path: string, metadata: Metadata, timeoutMs: number | undefined): Record<string, string> {
    return {
      ':method': 'POST',
      ':scheme': this.#scheme,
      ':authority': this.#options.authority,
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': this.#options.userAgent,
      ...(timeoutMs !== undefined && { 'grpc-timeout': timeoutText(timeoutMs) }),
      ...metadata,
    };
  }
}

/** At most eight digits and a unit. */
function timeoutText(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  return ms < 1e8 ? `${ms}m` : `${Math.min(99_999_999, Math.ceil(ms / 1000))}S`;
}
