import type { Etcd3, Namespace } from 'etcd3';
import { RxEtcdError, callbackFailed, invalidArgument } from '../errors.ts';
import { closingCredentials } from './closing-credentials.ts';
import { EtcdFault } from './faults.ts';
import type { CallOptions, GrpcClient, MethodDefinition } from './rpc.ts';

/** An etcd3 client, or a namespace of one. */
export type EtcdClient = Etcd3 | Namespace;

/**
 * What this library takes from an etcd3 client: where the members are, how to reach and authenticate to
 * them, and the generated service definitions. The connection itself is our own: docs/decisions/0005.
 * This file is the only one that knows etcd3's inside.
 */
export interface ClientParts {
  /** The same for a client and all its namespaces: what is shared is shared per pool. */
  readonly pool: object;
  /** The namespace's prefix, empty for the client itself. */
  readonly namespace: Uint8Array;
}

/** One member's address and how to connect to it. */
export interface Endpoint {
  readonly host: string;
  /** A grpc client with a channel of its own. Throws a `client-closed` fault when the etcd3 client is closed. */
  connect(options: Readonly<Record<string, unknown>>): { client: GrpcClient; methods: Methods; close: () => void };
}

export interface Methods {
  readonly range: MethodDefinition;
  readonly txn: MethodDefinition;
  readonly watch: MethodDefinition;
  readonly leaseGrant: MethodDefinition;
  readonly leaseRevoke: MethodDefinition;
  readonly leaseKeepAlive: MethodDefinition;
  readonly authenticate: MethodDefinition;
}

type Service = 'KV' | 'Watch' | 'Lease' | 'Auth';

interface GrpcClientConstructor {
  new (address: string, credentials: unknown, options: object): GrpcClient;
  readonly service: Readonly<Record<string, MethodDefinition>>;
}

interface PoolInside {
  /** What `client.mock()` was given. */
  readonly mockImpl?: unknown;
  readonly hosts: readonly HostInside[];
  readonly options: {
    readonly auth?: { readonly username: string; readonly password: string };
    readonly defaultCallOptions?: CallOptions | ((context: object) => CallOptions | undefined);
  };
}

interface HostInside {
  readonly host: string;
  readonly channelCredentials: unknown;
  readonly channelOptions?: object;
  readonly closed: boolean;
  getServiceClient(service: Service): GrpcClient;
}

/** The parts of a client, or a thrown error that says what is wrong with it. */
export function clientParts(client: EtcdClient): ClientParts {
  const inside = client as unknown as { readonly pool?: Partial<PoolInside>; readonly prefix?: unknown } | null;
  if (inside === null || typeof inside !== 'object' || inside.pool === undefined) {
    throw invalidArgument('client', 'an Etcd3 or a Namespace of the etcd3 package', client);
  }
  const host = inside.pool.hosts?.[0];
  if (host === undefined || typeof host.getServiceClient !== 'function' || !(inside.prefix instanceof Uint8Array)) {
    throw new RxEtcdError('unsupported-client', 'client: this version of etcd3 is not supported; use etcd3 1.1');
  }
  refuseMock(inside.pool);
  return { pool: inside.pool, namespace: inside.prefix };
}

/** Throws for a client whose calls are mocked: a connection of our own would go round the mock, to a real etcd. */
export function refuseMock(pool: object): void {
  const { mockImpl } = insideOf(pool);
  if (mockImpl === undefined || mockImpl === null) return;
  throw new RxEtcdError('unsupported-client', 'client: it is mocked by client.mock(); rx-etcd would write for real');
}

export function endpointsOf(pool: object): readonly Endpoint[] {
  return insideOf(pool).hosts.map((host) => ({
    host: host.host,
    connect: (options) => {
      const methods = methodsOf(host);
      const Client = serviceOf(host, 'KV');
      const { credentials, stop } = closingCredentials(host.channelCredentials);
      const client = new Client(host.host, credentials, { ...options, ...host.channelOptions });
      const close = (): void => {
        stop();
        client.close();
      };
      return { client, methods, close };
    },
  }));
}

export function credentialsOf(pool: object): { readonly username: string; readonly password: string } | undefined {
  return insideOf(pool).options.auth;
}

/**
 * The user's own call options. A deadline among them is meant for calls, and would end every stream. Throws a
 * `callback-failed` error when the user's function, or an interceptor of it, does.
 */
export function defaultCallOptionsOf(pool: object, service: string, method: string, isStream: boolean): CallOptions {
  const { defaultCallOptions } = insideOf(pool).options;
  try {
    const options =
      typeof defaultCallOptions === 'function'
        ? defaultCallOptions({ service, method, isStream, params: {} })
        : defaultCallOptions;
    const { interceptors } = options ?? {};
    return interceptors === undefined ? {} : { interceptors: Array.from(interceptors, guarded) };
  } catch (error) {
    throw callbackFailed('defaultCallOptions', error);
  }
}

type Interceptor = (options: unknown, nextCall: (options: unknown) => unknown) => unknown;

/** The same interceptor, whose own errors are told from those of the call that it wraps. */
function guarded(interceptor: unknown): Interceptor {
  if (typeof interceptor !== 'function') throw new TypeError('an interceptor that is no function');
  return (options, nextCall) => {
    let below: unknown;
    try {
      return (interceptor as Interceptor)(options, (passed) => {
        try {
          return nextCall(passed);
        } catch (error) {
          below = error;
          throw error;
        }
      });
    } catch (error) {
      throw error === below ? error : callbackFailed('an interceptor of defaultCallOptions', error);
    }
  };
}

/** Calls back once, when the etcd3 client is closed; at once when it is closed already. */
export function onClientClosed(pool: object, callback: () => void): void {
  const [host] = insideOf(pool).hosts;
  if (host === undefined || host.closed) {
    callback();
    return;
  }
  // Closing the client shuts down its channels, and a shut down channel tells its watchers. So does each
  // other change of state, and etcd3 replacing its channel after a fault: then watch the present one.
  const channel = host.getServiceClient('KV').getChannel();
  channel.watchConnectivityState(channel.getConnectivityState(false), Infinity, () => {
    // Told in the middle of etcd3's close(): look when it is done.
    queueMicrotask(() => {
      onClientClosed(pool, callback);
    });
  });
}

export function isClientClosed(pool: object): boolean {
  return insideOf(pool).hosts.some((host) => host.closed);
}

export function clientClosedFault(): EtcdFault {
  return new EtcdFault('client-closed', 'the client is closed');
}

function insideOf(pool: object): PoolInside {
  return pool as PoolInside;
}

function serviceOf(host: HostInside, service: Service): GrpcClientConstructor {
  if (host.closed) throw clientClosedFault();
  return host.getServiceClient(service).constructor as unknown as GrpcClientConstructor;
}

function methodsOf(host: HostInside): Methods {
  const method = (service: Service, name: string): MethodDefinition => {
    const definition = serviceOf(host, service).service[name];
    if (definition === undefined)
      throw new RxEtcdError('unsupported-client', `client: etcd3 has no ${service}.${name}`);
    return definition;
  };
  return {
    range: method('KV', 'Range'),
    txn: method('KV', 'Txn'),
    watch: method('Watch', 'Watch'),
    leaseGrant: method('Lease', 'LeaseGrant'),
    leaseRevoke: method('Lease', 'LeaseRevoke'),
    leaseKeepAlive: method('Lease', 'LeaseKeepAlive'),
    authenticate: method('Auth', 'Authenticate'),
  };
}
