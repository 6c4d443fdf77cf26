import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { connectError, type ConnectPhase } from './connect-error.ts';
import type { Endpoint } from './endpoint.ts';
import { connectThroughProxy, type ProxyAddress } from './http-proxy.ts';

export interface SocketOptions {
  /** Absent: no TLS. */
  readonly tls?: ConnectionOptions | undefined;
  /** The HTTP proxy to go through. */
  readonly proxy?: ProxyAddress | undefined;
  /** Told when another phase begins. */
  readonly onPhase: (phase: ConnectPhase) => void;
}

/**
 * Makes one connection to an endpoint, TLS included, and calls back once, with the socket or with why there is none.
 * The name is looked up anew each time; of several addresses the first that answers is taken (RFC 8305).
 *
 * @returns gives up, without calling back.
 */
export function connectSocket(
  endpoint: Endpoint,
  options: SocketOptions,
  done: (result: Socket | Error) => void,
): () => void {
  const { address } = endpoint;
  const { tls, proxy } = options;
  let current: Socket | undefined;
  let stop: (() => void) | undefined;
  let isOver = false;
  let phase: ConnectPhase = 'tcp';

  const finish = (result: Socket | Error): void => {
    if (isOver) return;
    isOver = true;
    if (result instanceof Error) current?.destroy();
    done(result instanceof Error ? connectError(endpoint.name, phase, tls !== undefined, result) : result);
  };
  const enter = (next: ConnectPhase): void => {
    phase = next;
    options.onPhase(next);
  };
  const watch = (socket: Socket): void => {
    current = socket;
    // Stays on the socket after it is handed over: an error without a listener would end the process.
    socket.on('error', finish);
    socket.on('close', () => {
      finish(new Error('the connection was closed before it was ready'));
    });
  };
  const secure = (socket: Socket): void => {
    if (tls === undefined) {
      finish(socket);
      return;
    }
    enter('tls');
    const host = address.type === 'tcp' ? address.host : 'localhost';
    // A name for SNI may not be an IP address; the certificate is held against `host` then.
    const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
    try {
      const secured = connectTls({
        ALPNProtocols: ['h2'],
        ...tls,
        socket,
        host,
        ...(servername !== undefined && isIP(servername) === 0 ? { servername } : { servername: '' }),
      });
      watch(secured);
      secured.once('secureConnect', () => {
        if (secured.alpnProtocol === 'h2' || secured.alpnProtocol === false) finish(secured);
        else finish(new Error(`the server chose ${String(secured.alpnProtocol)} instead of HTTP/2`));
      });
    } catch (error) {
      finish(error as Error);
    }
  };

  try {
    if (proxy !== undefined && address.type === 'tcp') {
      enter('proxy');
      stop = connectThroughProxy(proxy, address, (result) => {
        if (isOver) {
          if (!(result instanceof Error)) result.destroy();
          return;
        }
        if (result instanceof Error) finish(result);
        else {
          watch(result);
          secure(result);
        }
      });
    } else {
      const socket =
        address.type === 'unix'
          ? connect({ path: address.path })
          : connect({ host: address.host, port: address.port, autoSelectFamily: true, noDelay: true });
      watch(socket);
      socket.once('connect', () => {
        secure(socket);
      });
    }
  } catch (error) {
    // Node throws for what it takes for a bad argument.
    queueMicrotask(() => {
      finish(error as Error);
    });
  }
  return () => {
    if (isOver) return;
    isOver = true;
    stop?.();
    current?.destroy();
  };
}
