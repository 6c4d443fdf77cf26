import { Etcd3 } from 'etcd3';

/** One of etcd3's generated method definitions: for both ends of a call. */
export interface StockMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (response: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

export type StockMethods = Readonly<
  Record<'range' | 'txn' | 'watch' | 'leaseGrant' | 'leaseRevoke' | 'leaseKeepAlive' | 'authenticate', StockMethod>
>;

interface Inside {
  readonly pool: {
    readonly hosts: readonly {
      getServiceClient(name: string): {
        readonly constructor: { readonly service: Readonly<Record<string, StockMethod>> };
      };
    }[];
  };
}

/** etcd3's own way of reading and writing: slow, and what ours is compared with. */
export function stockMethods(): StockMethods {
  const etcd = new Etcd3({ hosts: 'http://127.0.0.1:1' });
  const host = (etcd as unknown as Inside).pool.hosts[0]!;
  const of = (service: string, name: string): StockMethod => {
    const method = host.getServiceClient(service).constructor.service[name];
    if (method === undefined) throw new Error(`etcd3 has no ${service}.${name}`);
    return method;
  };
  const methods = {
    range: of('KV', 'Range'),
    txn: of('KV', 'Txn'),
    watch: of('Watch', 'Watch'),
    leaseGrant: of('Lease', 'LeaseGrant'),
    leaseRevoke: of('Lease', 'LeaseRevoke'),
    leaseKeepAlive: of('Lease', 'LeaseKeepAlive'),
    authenticate: of('Auth', 'Authenticate'),
  };
  etcd.close();
  return methods;
}
