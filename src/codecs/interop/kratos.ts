import type { Codec } from '../codec.ts';
import { arrayField, asString, goJson, parseObject, stringField, stringMapField } from './go-json.ts';
import { keyPart, keySegment } from './key-part.ts';

/** An instance as go-kratos writes it; what else the JSON holds stays on the object. */
export interface KratosInstance {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** URLs such as `grpc://10.0.0.7:9000?isSecure=false`. */
  readonly endpoints: readonly string[];
}

/** How {@link kratos} lays out its keys. */
export interface KratosOptions {
  /** Where services are kept. Default: `/microservices`, as in go-kratos. */
  readonly namespace?: string;
}

/** See {@link kratos}. */
export interface Kratos {
  readonly codec: Codec<KratosInstance>;
  /** What go-kratos registers with, by default. */
  readonly ttlSeconds: number;
  /** All instances of a service. */
  readonly prefix: (name: string) => string;
  /** The key of one instance. */
  readonly key: (instance: Pick<KratosInstance, 'id' | 'name'>) => string;
}

/**
 * The format of go-kratos: `/microservices/<name>/<id>` holds an instance as JSON.
 *
 * Absent and null `metadata` and `endpoints`, which Go writes for empty ones, read as empty.
 *
 * @source https://go-kratos.dev/docs/component/registry/
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchPrefix$ } from 'rx-etcd';
 * import { kratos } from 'rx-etcd/interop';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const { codec, prefix } = kratos();
 * watchPrefix$(etcd, prefix('helloworld'), { codec }).subscribe((instances) => {
 *   for (const { endpoints } of instances.values()) console.log(endpoints);
 * });
 * ```
 */
export function kratos(options: KratosOptions = {}): Kratos {
  const namespace = keyPart('options.namespace', options.namespace ?? '/microservices');
  return {
    codec: {
      encode: ({ id, name, version, metadata, endpoints, ...others }) =>
        goJson({ id, name, version, metadata, endpoints, ...others }),
      decode(bytes) {
        const object = parseObject(bytes);
        return {
          ...object,
          id: stringField(object, 'id'),
          name: stringField(object, 'name'),
          version: stringField(object, 'version'),
          metadata: stringMapField(object, 'metadata'),
          endpoints: arrayField(object, 'endpoints', asString),
        };
      },
    },
    ttlSeconds: 15,
    prefix: (name) => `${namespace}/${keySegment('name', name)}/`,
    key: ({ id, name }) => `${namespace}/${keySegment('name', name)}/${keySegment('id', id)}`,
  };
}
