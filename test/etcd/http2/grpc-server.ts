import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { asyncScheduler } from 'rxjs';
import { Channel, type ChannelOptions } from '../../../src/etcd/http2/channel.ts';
import { parseEndpoint } from '../../../src/etcd/http2/endpoint.ts';
import type { RpcError } from '../../../src/etcd/rpc-error.ts';
import { TimerQueue } from '../../../src/time/timer-queue.ts';

export interface GrpcServer {
  readonly port: number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  readonly accepted: () => number;
  /** Resets every connection. */
  cut(): void;
  stop(): Promise<void>;
}

type Handler = (stream: ServerHttp2Stream, path: string) => void;

/** An HTTP/2 server that answers each stream as a test says. */
export async function startGrpcServer(
  handler: Handler,
  settings: { readonly maxConcurrentStreams?: number } = {},
): Promise<GrpcServer> {
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server: Http2Server = createServer({ settings });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => {
    accepted += 1;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => undefined);
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handler(stream, String(headers[':path']));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    accepted: () => accepted,
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stop: () => {
      for (const session of sessions) session.destroy();
      return new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

export interface OpenedChannel {
  readonly channel: Channel;
  readonly timers: TimerQueue;
  readonly ready: Promise<void>;
  readonly failed: Promise<RpcError>;
  readonly drained: Promise<void>;
}

/** A channel to a port of this machine, or to another address. */
export function openTestChannel(to: number | string, options: Partial<ChannelOptions> = {}): OpenedChannel {
  const timers = new TimerQueue(asyncScheduler);
  const [ready, onReady] = signal();
  const [failed, onFailed] = signal<RpcError>();
  const [drained, onDraining] = signal();
  const channel = new Channel(
    {
      endpoint: parseEndpoint('hosts', typeof to === 'number' ? `127.0.0.1:${to}` : to),
      tcpTimeoutMs: 3000,
      connectTimeoutMs: 5000,
      keepAliveMs: 10_000,
      keepAliveTimeoutMs: 5000,
      timers,
      authority: 'test',
      userAgent: 'test',
      maxReceiveBytes: -1,
      maxSendBytes: -1,
      ...options,
    },
    { onReady, onFailed, onDraining },
  );
  return { channel, timers, ready, failed, drained };
}

function signal<T = void>(): [Promise<T>, (value: T) => void] {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => (resolve = fulfil));
  return [promise, resolve];
}

/** One unary call, as a promise of its answer or its error. */
export function call(
  channel: Channel,
  { path = '/test/Call', message = Buffer.from('?'), silenceMs = 5000, metadata = {} } = {},
): Promise<Buffer | RpcError> {
  return new Promise((resolve) => {
    channel.unary(path, message, { metadata, silenceMs }, resolve);
  });
}

/** Answers in order, with messages and a status. */
export function answer(
  stream: ServerHttp2Stream,
  bytes: Uint8Array,
  trailers: Record<string, string> = { 'grpc-status': '0' },
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers(trailers);
  });
  stream.end(bytes);
}
