import { request } from 'node:http';
import { isIP, type Socket } from 'node:net';

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
  /** `user:password`, when the proxy asks for it. */
  readonly auth: string | undefined;
}

/**
 * The HTTP proxy that the environment names for a host, by the variables that gRPC looks at: `grpc_proxy`,
 * `https_proxy`, `http_proxy`, and the hosts excepted in `no_grpc_proxy` or `no_proxy`.
 *
 * @source https://github.com/grpc/grpc/blob/master/doc/environment_variables.md
 */
export function proxyFor(host: string, environment: Readonly<NodeJS.ProcessEnv>): ProxyAddress | undefined {
  const of = (name: string): string | undefined => environment[name] || environment[name.toUpperCase()] || undefined;
  const given = of('grpc_proxy') ?? of('https_proxy') ?? of('http_proxy');
  if (given === undefined || isExcepted(host, of('no_grpc_proxy') ?? of('no_proxy') ?? '')) return undefined;
  let url: URL;
  try {
    url = new URL(given.includes('://') ? given : `http://${given}`);
  } catch {
    return undefined;
  }
  // A proxy that is spoken to over TLS is not supported, as in grpc.
  if (url.protocol !== 'http:' || url.hostname === '') return undefined;
  const auth = url.username === '' ? undefined : `${decoded(url.username)}:${decoded(url.password)}`;
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : Number(url.port), auth };
}

/** Whether `host` is one of the list: a name, a domain that it lies in, an address, or `*`. */
function isExcepted(host: string, list: string): boolean {
  const name = host.toLowerCase();
  return list.split(',').some((entry) => {
    const excepted = entry.trim().toLowerCase();
    if (excepted === '') return false;
    if (excepted === '*' || excepted === name) return true;
    const domain = excepted.replace(/^\*?\./, '');
    return isIP(name) === 0 && (name === domain || name.endsWith(`.${domain}`));
  });
}

/** Asks a proxy for a tunnel (CONNECT), and calls back once with its socket, or with why there is none. */
export function connectThroughProxy(
  proxy: ProxyAddress,
  target: { readonly host: string; readonly port: number },
  done: (result: Socket | Error) => void,
): () => void {
  const path = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
  const asked = request({
    host: proxy.host,
    port: proxy.port,
    method: 'CONNECT',
    path,
    agent: false,
    headers: {
      host: path,
      ...(proxy.auth !== undefined && {
        'proxy-authorization': `Basic ${Buffer.from(proxy.auth).toString('base64')}`,
      }),
    },
  });
  const where = `the HTTP proxy ${proxy.host}:${proxy.port}`;
  asked.once('connect', (answer, socket: Socket, head) => {
    if (answer.statusCode !== 200) {
      socket.destroy();
      done(new Error(`${where} answered ${answer.statusCode} to CONNECT`));
    } else {
      socket.setNoDelay(true);
      // What the server said already: TLS and HTTP/2 read it from the socket first.
      if (head.length > 0) socket.unshift(head);
      done(socket);
    }
  });
  asked.once('response', (answer) => {
    asked.destroy();
    done(new Error(`${where} answered ${answer.statusCode} to CONNECT`));
  });
  asked.once('error', (error) => {
    done(new Error(`${where} cannot be used: ${error.message}`, { cause: error }));
  });
  asked.end();
  return () => {
    asked.destroy();
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
