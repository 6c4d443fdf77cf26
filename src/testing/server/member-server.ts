import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createGrpcServer } from '../wire/grpc-server.ts';
import { authService } from './auth-service.ts';
import type { CallHooks } from './call-hooks.ts';
import { clusterService } from './cluster-service.ts';
import { ConnectionLine, type LineFaults } from './connection-line.ts';
import type { EtcdCore } from './core.ts';
import { kvService } from './kv-service.ts';
import { Leadership } from './leadership.ts';
import { leaseService } from './lease-service.ts';
import type { MemberView } from './member-view.ts';
import { watchService } from './watch-service.ts';

const FIRST_MEMBER_ID = 0x8e9e_05c5_2164_694dn;

/** One member of a memory etcd: a port, its connections, and the services behind them. */
export class MemberServer implements MemberView {
  readonly core: EtcdCore;
  readonly id: bigint;
  readonly name: string;
  readonly members: readonly MemberServer[];
  readonly faults: LineFaults = { frozen: false, blackHole: false, delayMs: 0, resetAfterBytes: undefined };
  readonly leadership: Leadership;
  readonly #grpc: Http2Server;
  readonly #http: HttpServer;
  readonly #lines = new Set<ConnectionLine>();
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #listener: Server | undefined;
  #port = 0;

  constructor(core: EtcdCore, members: readonly MemberServer[], index: number, hooks: CallHooks, isProxy: boolean) {
    this.core = core;
    this.members = members;
    this.id = FIRST_MEMBER_ID + BigInt(index);
    this.name = `m${index}`;
    const leadership = new Leadership(core.clock);
    this.leadership = leadership;
    const watch = watchService(this, isProxy);
    const leases = leaseService(this);
    this.#grpc = createGrpcServer(
      {
        ...kvService(this),
        ...leases,
        LeaseKeepAlive: (call) => leadership.guard(call, leases.LeaseKeepAlive(call)),
        ...clusterService(this),
        ...authService(this),
        Watch: (call) => leadership.guard(call, watch(call)),
      },
      leadership.intercept(hooks.interceptorOf(index)),
    );
    this.#grpc.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => undefined);
      session.on('close', () => this.#sessions.delete(session));
    });
    this.#http = createHttpServer((request, response) => {
      const answer = plainAnswer(request.url ?? '', core);
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(answer === undefined ? '404 page not found\n' : JSON.stringify(answer));
    });
  }

  get clientUrl(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get isListening(): boolean {
    return this.#listener !== undefined;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Listens on its port: the one it had, or a free one. */
  async listen(port: number = this.#port): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
    this.#listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ port, host: '127.0.0.1' }, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    this.#port = (listener.address() as AddressInfo).port;
  }

  /** New connections are refused from now on; those that are there stay. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener === undefined) return;
    await new Promise<void>((resolve) => {
      listener.close(() => {
        resolve();
      });
      // `close` waits for connections too; those are not its matter here.
      listener.unref();
      resolve();
    });
  }

  /** Resets all connections. */
  cut(): void {
    for (const line of [...this.#lines]) line.reset();
    for (const socket of [...this.#sockets]) socket.resetAndDestroy();
  }

  /** Tells all clients to go elsewhere; calls in flight are answered. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway();
  }

  thaw(): void {
    this.faults.frozen = false;
    for (const line of [...this.#lines]) line.thaw();
  }

  async stop(): Promise<void> {
    await this.refuse();
    this.faults.blackHole = false;
    this.cut();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      const line = new ConnectionLine(socket, this.faults, this.core.clock);
      this.#lines.add(line);
      line.on('close', () => this.#lines.delete(line));
      socket.unshift(first);
      // HTTP/2 begins with "PRI"; anything else asks for /health.
      const server = first.subarray(0, 3).toString() === 'PRI' ? this.#grpc : this.#http;
      server.emit('connection', line);
    });
  }
}

function plainAnswer(path: string, core: EtcdCore): object | undefined {
  if (path === '/health') return { health: 'true' };
  if (path === '/version') return { etcdserver: core.behavior.version, etcdcluster: core.behavior.version };
  return undefined;
}
