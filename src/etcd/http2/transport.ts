import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type Settings } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { reasonOf } from '../../errors.ts';
import type { QueuedTimer, TimerQueue } from '../../time/timer-queue.ts';
import { RpcError, STATUS } from '../rpc-error.ts';
import { connectError, connectTimeout, type ConnectPhase } from './connect-error.ts';
import { connectSocket } from './connect-socket.ts';
import type { Endpoint } from './endpoint.ts';
import type { ProxyAddress } from './http-proxy.ts';

export interface TransportOptions {
  readonly endpoint: Endpoint;
  /** Absent: no TLS. */
  readonly tls?: ConnectionOptions | undefined;
  readonly proxy?: ProxyAddress | undefined;
  /** Bound of a TCP connection. */
  readonly tcpTimeoutMs: number;
  /** Bound of all that is needed for the first call: TCP, TLS, and the server's SETTINGS. */
  readonly connectTimeoutMs: number;
  /** After so long without a byte the server is asked whether it is there; `Infinity` for never. */
  readonly keepAliveMs: number;
  /** Bound of its answer. */
  readonly keepAliveTimeoutMs: number;
  readonly timers: TimerQueue;
}

export interface TransportListener {
  /** Calls can be started. */
  onReady(): void;
  /** A stream has ended, or the server allows more of them. */
  onSlot(): void;
  /** The server wants no new streams; those there are go on (GOAWAY). */
  onDraining(): void;
  /** The connection is lost, and with it every stream. Told once, never synchronously by the constructor. */
  onFailed(error: RpcError): void;
}

// A window holds what may be under way: at 200 ms and 100 Mbit/s that is 2.5 MB. docs/performance.md has the figures.
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/** In megabytes. Node's own 10 would refuse new streams while large answers are under way. */
const SESSION_MEMORY_MB = 4096;

/** A timer that fires so much late says that this process did not run: what came meanwhile is not read yet. */
const LATE_MS = 500;

/**
 * One HTTP/2 connection to a member, over `node:http2`. Knows nothing of gRPC: it connects, keeps itself alive by pings,
 * counts the streams that the server allows, and tells why it ended.
 *
 * @source https://www.rfc-editor.org/rfc/rfc9113
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #listener: TransportListener;
  readonly #timers: TimerQueue;
  readonly #timer: QueuedTimer;
  #giveUp: (() => void) | undefined;
  #socket: Socket | undefined;
  #session: ClientHttp2Session | undefined;
  #phase: ConnectPhase = 'tcp';
  #status: 'connecting' | 'ready' | 'draining' | 'closed' = 'connecting';
  #beganMs: number;
  #active = 0;
  #maxActive = 0;
  /** When the last byte of a stream or an answered ping came. */
  #heardMs = 0;
  #pingedMs: number | undefined;
  /** What a GOAWAY said before it ends the connection. */
  #farewell: RpcError | undefined;

  constructor(options: TransportOptions, listener: TransportListener) {
    this.#options = options;
    this.#listener = listener;
    this.#timers = options.timers;
    this.#beganMs = this.#timers.nowMs();
    this.#timer = {
      dueMs: undefined,
      fire: () => {
        this.#onTimer();
      },
    };
    this.#giveUp = connectSocket(
      options.endpoint,
      {
        tls: options.tls,
        proxy: options.proxy,
        onPhase: (phase) => {
          this.#phase = phase;
          this.#armConnectTimer();
        },
      },
      (result) => {
        if (result instanceof Error) this.fail(result as RpcError);
        else this.#open(result);
      },
    );
    this.#armConnectTimer();
  }

  get wasReady(): boolean {
    return this.#status !== 'connecting';
  }

  /** How many streams the server allows; 0 until it has said so. */
  get maxActive(): number {
    return this.#maxActive;
  }

  get hasSlot(): boolean {
    return this.#status === 'ready' && this.#active < this.#maxActive;
  }

  /** Lost, or on its way to be told so. */
  get isBroken(): boolean {
    return this.#status === 'closed' || this.#session?.destroyed !== false || this.#socket?.destroyed !== false;
  }

  /** Told by the streams: something came. */
  heard(): void {
    this.#heardMs = this.#timers.nowMs();
  }

  /** How much the kernel has taken of what was written. */
  get bytesWritten(): number {
    return this.#socket?.bytesWritten ?? 0;
  }

  /** Starts a stream; only with {@link hasSlot}. Throws what Node throws. */
  start(headers: Readonly<Record<string, string>>): ClientHttp2Stream {
    const session = this.#session as ClientHttp2Session;
    const stream = session.request(headers, { endStream: false });
    this.#active += 1;
    if (this.#active === 1) this.#use(session);
    stream.once('close', () => {
      this.#active -= 1;
      if (this.#status === 'closed') return;
      if (this.#active === 0) this.#rest(session);
      this.#listener.onSlot();
    });
    return stream;
  }

  /** Ends the connection, without telling. */
  close(): void {
    if (this.#status === 'closed') return;
    this.#status = 'closed';
    this.#giveUp?.();
    this.#timers.cancel(this.#timer);
    this.#session?.destroy();
    // The session would wait until the peer has taken all that was written, which a frozen one never does.
    const socket = this.#socket;
    if (socket !== undefined) {
      queueMicrotask(() => {
        socket.destroy();
      });
    }
  }

  /** Ends the connection for a reason. */
  fail(error: RpcError): void {
    if (this.#status === 'closed') return;
    this.close();
    this.#listener.onFailed(error);
  }

  #open(socket: Socket): void {
    this.#giveUp = undefined;
    this.#socket = socket;
    this.#phase = 'settings';
    let session: ClientHttp2Session;
    try {
      session = connect('http://localhost', {
        createConnection: () => socket,
        maxSessionMemory: SESSION_MEMORY_MB,
        settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
      });
    } catch (error) {
      this.fail(this.#explain(error));
      return;
    }
    this.#session = session;
    session.on('error', (error) => {
      this.fail(this.#explain(error));
    });
    session.on('close', () => {
      this.fail(this.#explain(undefined));
    });
    session.on('remoteSettings', ({ maxConcurrentStreams }: Settings) => {
      this.#maxActive = maxConcurrentStreams ?? Infinity;
      if (this.#status === 'connecting') this.#becomeReady(session);
      else if (this.#status === 'ready') this.#listener.onSlot();
    });
    session.on('goaway', (code: number, _lastStreamId: number, data?: Uint8Array) => {
      this.#onGoaway(code, data);
    });
    this.#armConnectTimer();
  }

  #becomeReady(session: ClientHttp2Session): void {
    this.#status = 'ready';
    this.#timers.cancel(this.#timer);
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    this.#heardMs = this.#timers.nowMs();
    this.#rest(session);
    // Not within a callback of nghttp2: what a listener throws there would end the process without a trace.
    queueMicrotask(() => {
      if (this.#status === 'ready') this.#listener.onReady();
    });
  }

  #onGoaway(code: number, data: Uint8Array | undefined): void {
    const words = data === undefined ? '' : Buffer.from(data).toString('utf8', 0, 200);
    const name = constantName(code);
    this.#farewell = new RpcError(
      STATUS.UNAVAILABLE,
      `${this.#options.endpoint.name} ended the connection (GOAWAY ${name}${words === '' ? '' : `: ${words}`})`,
      'transport',
      { reason: 'goaway' },
    );
    // With an error, Node ends the session now; without one, its streams go on.
    if (code !== constants.NGHTTP2_NO_ERROR || this.#status !== 'ready') return;
    this.#status = 'draining';
    queueMicrotask(() => {
      if (this.#status === 'draining') this.#listener.onDraining();
    });
  }

  /** In use: it keeps the process alive, and is kept alive by pings. */
  #use(session: ClientHttp2Session): void {
    session.ref();
    this.#heardMs = this.#timers.nowMs();
    this.#pingedMs = undefined;
    this.#armPing(this.#options.keepAliveMs);
  }

  /** Unused: servers do not like pings without a stream. */
  #rest(session: ClientHttp2Session): void {
    session.unref();
    this.#timers.cancel(this.#timer);
  }

  #armPing(delayMs: number): void {
    if (delayMs < Infinity) this.#timers.set(this.#timer, delayMs);
  }

  #armConnectTimer(): void {
    if (this.#status !== 'connecting') return;
    const boundMs = this.#connectBoundMs();
    this.#timers.set(this.#timer, this.#beganMs + boundMs - this.#timers.nowMs());
  }

  #connectBoundMs(): number {
    const { tcpTimeoutMs, connectTimeoutMs } = this.#options;
    return this.#phase === 'tcp' ? Math.min(tcpTimeoutMs, connectTimeoutMs) : connectTimeoutMs;
  }

  #onTimer(): void {
    const { endpoint, keepAliveMs, keepAliveTimeoutMs } = this.#options;
    if (this.#status === 'connecting') {
      this.fail(connectTimeout(endpoint.name, this.#phase, this.#connectBoundMs()));
      return;
    }
    const nowMs = this.#timers.nowMs();
    const quietMs = nowMs - this.#heardMs;
    if (this.#pingedMs === undefined) {
      if (quietMs < keepAliveMs - 1) {
        this.#armPing(keepAliveMs - quietMs);
        return;
      }
      this.#ping(nowMs);
      return;
    }
    if (this.#heardMs > this.#pingedMs) {
      this.#pingedMs = undefined;
      this.#armPing(Math.max(1, keepAliveMs - quietMs));
      return;
    }
    const lateMs = nowMs - this.#pingedMs - keepAliveTimeoutMs;
    if (lateMs > LATE_MS) {
      this.#ping(nowMs);
      return;
    }
    const details = `${endpoint.name} did not answer a ping within ${keepAliveTimeoutMs} ms`;
    this.fail(new RpcError(STATUS.UNAVAILABLE, details, 'deadline', { reason: 'silent' }));
  }

  #ping(nowMs: number): void {
    this.#pingedMs = nowMs;
    this.#armPing(this.#options.keepAliveTimeoutMs);
    try {
      // Answered with an error when the session ends first; that is told by the session.
      this.#session?.ping((error) => {
        if (error === null) this.heard();
      });
    } catch (error) {
      this.fail(this.#explain(error));
    }
  }

  #explain(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    if (this.#farewell !== undefined) return this.#farewell;
    const { endpoint, tls } = this.#options;
    if (this.#status === 'connecting') {
      const given = error ?? new Error('it closed the connection');
      return connectError(endpoint.name, this.#phase, tls !== undefined, given);
    }
    const why = error === undefined ? 'it was closed by the other side' : reasonOf(error);
    const details = `the connection to ${endpoint.name} was lost: ${why}`;
    return new RpcError(STATUS.UNAVAILABLE, details, 'transport', { reason: 'lost', cause: error });
  }
}

/** HTTP/2's name of an error code. */
export function constantName(code: number): string {
  return ERROR_NAMES[code] ?? String(code);
}

// https://www.rfc-editor.org/rfc/rfc9113#section-7
const ERROR_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];
