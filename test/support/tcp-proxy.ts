import { createServer, connect, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

/** A side of a connection: the one that connected to the proxy, or the one behind it. */
export type ProxySide = 'client' | 'server';

/** How to start a proxy. */
export interface ProxyOptions {
  /** Holds every chunk back for this long, in order. Default 0. */
  readonly delayMs?: number;
  /** Looks at what clients send; `false` cuts that connection before the chunk goes on. */
  readonly allow?: (connection: number, chunk: Buffer) => boolean;
}

/** A TCP proxy in front of one port, with the faults of a network on demand. */
export interface TcpProxy {
  readonly port: number;
  readonly url: string;
  /** How many connections are open. */
  readonly connections: number;
  /** How many connections were ever accepted. */
  readonly accepted: number;
  /** How many bytes went on to the clients so far. */
  readonly bytesFromServer: number;
  /** Ends every connection with a reset, on both sides; new ones are taken. */
  cut(): void;
  /** `cut` for the connections that `which` chooses. */
  cutWhere(which: (connection: number) => boolean): void;
  /** `cut`, and no longer listens: connecting is refused. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
  /** Keeps and takes connections, but passes on nothing that the given side (by default either) sends. */
  blackhole(from?: ProxySide): void;
  /** Ends `blackhole`: what was held back goes on, as TCP would send it again. */
  heal(): void;
  /** Passes on exactly this many more bytes from the server, over all connections, then `cut`; resolves then. */
  cutAfterBytes(count: number): Promise<void>;
  /** Delays every chunk from now on. */
  setDelay(delayMs: number): void;
  /** `refuse`, for good. */
  stop(): Promise<void>;
}

/** Starts a proxy on a free port of 127.0.0.1 in front of a port there. */
export async function startProxy(targetPort: number, options: ProxyOptions = {}): Promise<TcpProxy> {
  const { allow = () => true } = options;
  const pairs = new Map<number, readonly [client: Socket, server: Socket]>();
  const held: Record<ProxySide, boolean> = { client: false, server: false };
  const waiting = new Set<() => void>();
  let delayMs = options.delayMs ?? 0;
  let accepted = 0;
  let bytesFromServer = 0;
  let budget: { left: number; readonly spent: () => void } | undefined;
  let listener: Server | undefined;

  const port = await listenOnFreePort();
  const proxy: TcpProxy = {
    port,
    url: `http://127.0.0.1:${port}`,
    get connections() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    get bytesFromServer() {
      return bytesFromServer;
    },
    cut() {
      proxy.cutWhere(() => true);
    },
    cutWhere(which) {
      for (const id of [...pairs.keys()]) if (which(id)) reset(id);
    },
    async refuse() {
      const closed = new Promise<void>((resolve) => {
        if (listener === undefined) resolve();
        else
          listener.close(() => {
            resolve();
          });
      });
      listener = undefined;
      proxy.cut();
      await closed;
    },
    async accept() {
      listener ??= await listen(port);
    },
    blackhole(from) {
      if (from !== 'server') held.client = true;
      if (from !== 'client') held.server = true;
    },
    heal() {
      held.client = false;
      held.server = false;
      const goOn = [...waiting];
      waiting.clear();
      for (const go of goOn) go();
    },
    cutAfterBytes(count) {
      return new Promise((resolve) => {
        budget = { left: count, spent: resolve };
      });
    },
    setDelay(next) {
      delayMs = next;
    },
    stop() {
      return proxy.refuse();
    },
  };
  return proxy;

  function onConnection(client: Socket): void {
    const id = accepted++;
    const server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    pairs.set(id, [client, server]);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // A reset on one side is one on the other. Once both have ended in order there is nothing to reset.
      socket.on('error', () => {
        reset(id);
      });
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) pairs.delete(id);
      });
    }
    pump(id, client, server, 'client');
    pump(id, server, client, 'server');
  }

  function pump(id: number, from: Socket, to: Socket, side: ProxySide): void {
    let order = Promise.resolve();
    const take = async (chunk: Buffer): Promise<void> => {
      await released(side, id);
      if (!pairs.has(id)) return;
      if (side === 'client' && !allow(id, chunk)) {
        reset(id);
        return;
      }
      order = passOn(order, () => {
        write(to, chunk, side);
      });
      if (to.writableNeedDrain) await drained(to);
      from.resume();
    };
    // Nothing is read while a chunk is in hand or held: what follows waits in the kernel's buffers.
    from.on('data', (chunk: Buffer) => {
      from.pause();
      void take(chunk);
    });
    from.on('end', () => {
      void released(side, id).then(() => {
        order = passOn(order, () => {
          to.end();
        });
      });
    });
  }

  function passOn(order: Promise<void>, action: () => void): Promise<void> {
    if (delayMs === 0) {
      // Still behind what an earlier delay holds back.
      return order.then(action);
    }
    const due = new Promise<void>((resolve) => setTimeout(resolve, delayMs));
    return Promise.all([order, due]).then(action);
  }

  function write(to: Socket, chunk: Buffer, side: ProxySide): void {
    if (to.destroyed || to.writableEnded) return;
    if (side === 'client') {
      to.write(chunk);
      return;
    }
    const spending = budget;
    const part = spending === undefined ? chunk : chunk.subarray(0, spending.left);
    bytesFromServer += part.length;
    if (spending === undefined) {
      to.write(part);
      return;
    }
    spending.left -= part.length;
    if (spending.left > 0) {
      to.write(part);
      return;
    }
    budget = undefined;
    // A reset throws away what is still on its way to the socket: let the last bytes out first.
    to.write(part, () => {
      proxy.cut();
      spending.spent();
    });
  }

  function released(side: ProxySide, id: number): Promise<void> {
    if (!held[side] || !pairs.has(id)) return Promise.resolve();
    return new Promise((resolve) => waiting.add(resolve));
  }

  function reset(id: number): void {
    const pair = pairs.get(id);
    pairs.delete(id);
    for (const socket of pair ?? []) resetNow(socket);
  }

  async function listenOnFreePort(): Promise<number> {
    for (;;) {
      const free = await freePort();
      try {
        listener = await listen(free);
        return free;
      } catch (error) {
        // Between the look for a free port and its use somebody else may have taken it.
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  function listen(on: number): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, onConnection);
      server.once('error', reject);
      server.listen({ port: on, host: '127.0.0.1', exclusive: true }, () => {
        resolve(server);
      });
    });
  }
}

// `resetAndDestroy` ends the stream first, so that the other side may see an orderly end before the reset. This is
// what it does after that. (A socket still connecting has nothing to reset.)
function resetNow(socket: Socket): void {
  if (!socket.connecting) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
