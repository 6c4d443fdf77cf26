import type { Codec } from '../codec.ts';
import { text } from '../text.ts';
import { keyPart, keySegment } from './key-part.ts';

/** A server as rpcx writes it. Network and address are in the key. */
export interface RpcxServer {
  /** `tcp`, `quic`, `kcp`, … */
  readonly network: string;
  readonly address: string;
  /** What the server says of itself, such as `weight`, `group`, `state`; a name can have several values. */
  readonly params: Readonly<Record<string, readonly string[]>>;
}

/** See {@link rpcx}. */
export interface Rpcx {
  readonly codec: Codec<RpcxServer>;
  /** All servers of a service. */
  readonly prefix: (service: string) => string;
  /** The key of one server. */
  readonly key: (service: string, server: Pick<RpcxServer, 'network' | 'address'>) => string;
}

const encoder = new TextEncoder();

/**
 * The format of rpcx: `<base>/<service>/<network>@<host:port>` holds a URL query. `basePath` is the base path
 * that the servers are configured with.
 *
 * The keys `<base>` and `<base>/<service>`, which hold markers, are no instances. Servers with metrics
 * rewrite their value at every update, so follow with `distinctSnapshots` to leave out what does not matter.
 *
 * @source https://doc.rpcx.io
 * @example
 * ```ts
 * import { rpcx } from 'rx-etcd/interop';
 *
 * const { codec, key } = rpcx('/rpcx_test');
 * const place = key('Arith', { network: 'tcp', address: '10.0.0.7:8972' });
 * console.log(place, codec.decode(Buffer.from('weight=3'), place)?.params['weight']); // … [ '3' ]
 * ```
 */
export function rpcx(basePath: string): Rpcx {
  const base = keyPart('basePath', basePath);
  return {
    codec: {
      encode({ params }) {
        const query = new URLSearchParams(
          Object.entries(params).flatMap(([name, values]) => values.map((value): [string, string] => [name, value])),
        );
        // Go writes a query's names in order.
        query.sort();
        return encoder.encode(query.toString());
      },
      decode(bytes, key) {
        const place = key.slice(key.lastIndexOf('/') + 1);
        const at = place.indexOf('@');
        if (at < 1) return undefined;
        return { network: place.slice(0, at), address: place.slice(at + 1), params: readQuery(bytes, key) };
      },
    },
    prefix: (service) => `${base}/${keySegment('service', service)}/`,
    key: (service, { network, address }) =>
      `${base}/${keySegment('service', service)}/${keySegment('server.network', network)}@${keySegment('server.address', address)}`,
  };
}

function readQuery(bytes: Uint8Array, key: string): Readonly<Record<string, readonly string[]>> {
  const query = new URLSearchParams(text().decode(bytes, key));
  // In one pass: `getAll` for each name goes through all of them.
  const params = new Map<string, string[]>();
  for (const [name, value] of query) {
    const values = params.get(name);
    if (values === undefined) params.set(name, [value]);
    else values.push(value);
  }
  return Object.fromEntries(params);
}
