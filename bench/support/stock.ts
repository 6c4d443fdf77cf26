import { Etcd3 } from 'etcd3';

export interface StockMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (response: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

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

/** etcd3's own generated service definitions. */
export function stockMethods(): Readonly<Record<'range' | 'watch' | 'leaseKeepAlive', StockMethod>> {
  const etcd = new Etcd3({ hosts: 'http://127.0.0.1:1' });
  const of = (service: 'KV' | 'Watch' | 'Lease', name: string): StockMethod =>
    serviceClient(etcd, service).constructor.service[name] as StockMethod;
  const methods = {
    range: of('KV', 'Range'),
    watch: of('Watch', 'Watch'),
    leaseKeepAlive: of('Lease', 'LeaseKeepAlive'),
  };
  etcd.close();
  return methods;
}
