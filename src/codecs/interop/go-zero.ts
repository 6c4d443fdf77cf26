import { invalidArgument } from '../../errors.ts';
import type { Codec } from '../codec.ts';
import { text } from '../text.ts';
import { keyPart } from './key-part.ts';

/** See {@link goZero}. */
export interface GoZero {
  readonly codec: Codec<string>;
  /** What go-zero registers with. */
  readonly ttlSeconds: number;
  /** All hosts of a service; `service` is the `Key` of its go-zero configuration. */
  readonly prefix: (service: string) => string;
  /** The key of one host; `id` is a positive whole number that no other host of the service has. */
  readonly key: (service: string, id: string | number | bigint) => string;
}

/**
 * The format of go-zero: `<key>/<id>` holds `host:port` as text.
 *
 * By default go-zero takes the lease's id, in decimal, for `<id>`; any other positive number does as well.
 *
 * @source https://go-zero.dev/docs/tutorials/service/governance/discovery
 * @example
 * ```ts
 * import { goZero } from 'rx-etcd/interop';
 *
 * const { prefix, key } = goZero();
 * console.log(prefix('user.rpc'), key('user.rpc', 1)); // user.rpc/ user.rpc/1
 * ```
 */
export function goZero(): GoZero {
  return {
    codec: text(),
    ttlSeconds: 10,
    prefix: (service) => `${keyPart('service', service)}/`,
    key(service, id) {
      if (!/^[1-9]\d*$/.test(String(id))) throw invalidArgument('id', 'a positive whole number', id);
      return `${keyPart('service', service)}/${id}`;
    },
  };
}
