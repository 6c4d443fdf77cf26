import type { Codec } from '../codec.ts';
import { goJson, numberField, parseObject, stringField, stringMapField } from './go-json.ts';
import { keyPart } from './key-part.ts';

/** An instance as kitex writes it; what else the JSON holds stays on the object. */
export interface KitexInstance {
  /** `tcp` or `unix`. */
  readonly network: string;
  readonly address: string;
  /** Its share of the calls: above 0. */
  readonly weight: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** How {@link kitex} lays out its keys. */
export interface KitexOptions {
  /** Where services are kept. Default: `kitex/registry-etcd`, without a leading `/`, as in kitex. */
  readonly prefix?: string;
}

/** See {@link kitex}. */
export interface Kitex {
  readonly codec: Codec<KitexInstance>;
  /** What kitex registers with, by default. */
  readonly ttlSeconds: number;
  /** All instances of a service. */
  readonly prefix: (service: string) => string;
  /** The key of one instance. */
  readonly key: (service: string, address: string) => string;
}

const DEFAULT_WEIGHT = 10;

/**
 * The format of kitex (`registry-etcd`): `kitex/registry-etcd/<service>/<ip:port>` holds an instance as JSON.
 *
 * A weight of 0 or less reads as 10, as kitex takes it.
 *
 * @source https://github.com/kitex-contrib/registry-etcd
 * @example
 * ```ts
 * import { kitex } from 'rx-etcd/interop';
 *
 * const { codec, key } = kitex();
 * const value = codec.encode({ network: 'tcp', address: '10.0.0.7:8888', weight: 10, tags: {} }, '');
 * console.log(key('hello', '10.0.0.7:8888'), Buffer.from(value).toString());
 * ```
 */
export function kitex(options: KitexOptions = {}): Kitex {
  const root = keyPart('options.prefix', options.prefix ?? 'kitex/registry-etcd');
  return {
    codec: {
      encode: ({ network, address, weight, tags, ...others }) => goJson({ network, address, weight, tags, ...others }),
      decode(bytes) {
        const object = parseObject(bytes);
        const weight = numberField(object, 'weight');
        return {
          ...object,
          network: stringField(object, 'network'),
          address: stringField(object, 'address'),
          weight: weight > 0 ? weight : DEFAULT_WEIGHT,
          tags: stringMapField(object, 'tags'),
        };
      },
    },
    ttlSeconds: 60,
    prefix: (service) => `${root}/${keyPart('service', service)}/`,
    key: (service, address) => `${root}/${keyPart('service', service)}/${keyPart('address', address)}`,
  };
}
