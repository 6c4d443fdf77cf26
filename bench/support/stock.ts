import type { Etcd3 } from 'etcd3';
import type { StockMethod } from '../../test/support/stock-methods.ts';

interface ServiceClient {
  readonly constructor: { readonly service: Readonly<Record<string, StockMethod>> };
  makeBidiStreamRequest(
    path: string,
    serialize: (request: object) => Buffer,
    deserialize: (bytes: Buffer) => unknown,
    options: object,
  ): {
    write(request: object): void;
    on(event: 'data' | 'error', listener: (data: Buffer) => void): void;
    cancel(): void;
  };
}

/** The grpc client inside an etcd3 client, for what etcd3 has no method for. */
export function serviceClient(etcd: Etcd3, service: 'KV' | 'Watch' | 'Lease'): ServiceClient {
  const { pool } = etcd as unknown as { pool: { hosts: { getServiceClient(service: string): ServiceClient }[] } };
  return (pool.hosts[0] as { getServiceClient(service: string): ServiceClient }).getServiceClient(service);
}
