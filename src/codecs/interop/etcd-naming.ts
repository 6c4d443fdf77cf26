import type { Codec } from '../codec.ts';
import { goJson, numberField, parseObject, stringField } from './go-json.ts';
import { keyPart } from './key-part.ts';

/** An endpoint as etcd's Go client writes it; what else the JSON holds stays on the object. */
export interface EtcdNamingEndpoint {
  readonly Addr: string;
  /** Whatever the service put there; `null` when nothing. */
  readonly Metadata: unknown;
}

/** See {@link etcdNaming}. */
export interface EtcdNaming {
  readonly codec: Codec<EtcdNamingEndpoint>;
  /** All endpoints of a target. */
  readonly prefix: (target: string) => string;
  /** The key of one endpoint; `id` is anything unique under the target, often the address. */
  readonly key: (target: string, id: string) => string;
}

const DELETE = 1;

/**
 * The format of etcd's own Go client, package `naming/endpoints`: what gRPC services in Go resolve.
 *
 * Keys are `<target>/<anything>`, values `{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}`. A value whose `Op`
 * is 1, a deletion, is no instance. The writer chooses the lease: there is no customary TTL.
 *
 * @source https://pkg.go.dev/go.etcd.io/etcd/client/v3/naming/endpoints
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchPrefix$ } from 'rx-etcd';
 * import { etcdNaming } from 'rx-etcd/interop';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const { codec, prefix } = etcdNaming();
 * watchPrefix$(etcd, prefix('services/greeter'), { codec }).subscribe((endpoints) => {
 *   for (const { Addr } of endpoints.values()) console.log(Addr);
 * });
 * ```
 */
export function etcdNaming(): EtcdNaming {
  return {
    codec: {
      encode: ({ Addr, Metadata, ...others }) => goJson({ Op: 0, Addr, Metadata: Metadata ?? null, ...others }),
      decode(bytes) {
        const object = parseObject(bytes);
        if (numberField(object, 'Op') === DELETE) return undefined;
        const Addr = stringField(object, 'Addr');
        const Metadata = object['Metadata'] ?? null;
        if (Addr === '' && Metadata === null) throw new TypeError('neither Addr nor Metadata');
        return { ...object, Addr, Metadata };
      },
    },
    prefix: (target) => `${keyPart('target', target)}/`,
    key: (target, id) => `${keyPart('target', target)}/${keyPart('id', id)}`,
  };
}
