import { createSecureContext, type ConnectionOptions } from 'node:tls';
import type { Etcd3, Namespace } from 'etcd3';
import { RxEtcdError, callbackFailed, invalidArgument, reasonOf } from '../errors.ts';
import {
  endpointsArgument,
  namedTls,
  refuseUnsupported,
  transportSettings,
  type ClientSettings,
  type Credentials,
} from './client-settings.ts';
import { settingsOfOptions, type EtcdOptions } from './etcd-options.ts';

/**
 * Where etcd is: an etcd3 client or a namespace of one, whose options are read, or the options themselves. Connections
 * are this library's own in any case.
 */
export type EtcdClient = Etcd3 | Namespace | EtcdOptions;

export interface ClientParts {
  /** The same for a client and all its namespaces: what is shared is shared by it. */
  readonly key: object;
  /** Prepended to every key. */
  readonly namespace: Uint8Array;
  /** Reads and checks what the connection needs; throws `invalid-argument` or `unsupported-client`. */
  readonly settings: () => ClientSettings;
}

// What is read of etcd3 1.1 and not part of its public types: three fields of a client, `prefix`, `options` and `pool`,
// and two of the pool. A test fails by the name of the one that is gone: test/etcd/etcd3-client.test.ts.
interface Etcd3Inside {
  readonly prefix?: unknown;
  readonly options?: unknown;
  readonly pool?: { readonly hosts?: unknown; readonly mockImpl?: unknown };
}

interface Etcd3Options {
  readonly hosts?: unknown;
  readonly credentials?: {
    readonly rootCertificate?: Buffer;
    readonly privateKey?: Buffer;
    readonly certChain?: Buffer;
  };
  readonly auth?: Partial<Credentials>;
  readonly grpcOptions?: object;
  readonly defaultCallOptions?: unknown;
  readonly dialTimeout?: unknown;
}

/** The parts of a client, or a thrown error that says what is wrong with it. */
export function clientParts(client: EtcdClient): ClientParts {
  const given: unknown = client;
  if (typeof given !== 'object' || given === null || !('pool' in given || 'hosts' in given)) {
    throw invalidArgument('client', 'an Etcd3 or a Namespace of the etcd3 package, or options with `hosts`', given);
  }
  if ('pool' in given) return etcd3Parts(given as Etcd3Inside);
  const options = given as EtcdOptions;
  const { namespace = '' } = options;
  if (typeof namespace !== 'string' || !namespace.isWellFormed()) {
    throw invalidArgument('client.namespace', 'a string', namespace);
  }
  return { key: options, namespace: Buffer.from(namespace), settings: () => settingsOfOptions(options) };
}

function etcd3Parts(inside: Etcd3Inside): ClientParts {
  const { prefix, options, pool } = inside;
  if (!(prefix instanceof Uint8Array)) throw unsupported('prefix');
  if (typeof options !== 'object' || options === null) throw unsupported('options');
  if (typeof pool !== 'object' || (pool as unknown) === null) throw unsupported('pool');
  const { hosts } = pool;
  const isHost = (host: unknown): boolean => typeof (host as { closed?: unknown } | undefined)?.closed === 'boolean';
  if (!Array.isArray(hosts) || hosts.length === 0 || !hosts.every(isHost)) throw unsupported('pool.hosts[].closed');
  const refuseMock = (): void => {
    if (pool.mockImpl === undefined || pool.mockImpl === null) return;
    throw new RxEtcdError(
      'unsupported-client',
      'client: it is mocked (client.mock()), and this library connects by itself; unmock() it, or give it a fake Observable',
    );
  };
  refuseMock();
  const isClosed = (): boolean => (hosts as readonly { readonly closed: boolean }[]).some(({ closed }) => closed);
  return { key: pool, namespace: prefix, settings: () => etcd3Settings(options, isClosed, refuseMock) };
}

function unsupported(field: string): RxEtcdError {
  return new RxEtcdError(
    'unsupported-client',
    `client: this version of etcd3 is not supported, it has no \`${field}\`; use etcd3 1.1, or options with \`hosts\``,
  );
}

function etcd3Settings(options: Etcd3Options, isClosed: () => boolean, refuseMock: () => void): ClientSettings {
  const { hosts = '127.0.0.1:2379', credentials, auth, grpcOptions = {}, dialTimeout } = options;
  const endpoints = endpointsArgument('client: hosts', hosts);
  const channelOptions = grpcOptions as Readonly<Record<string, unknown>>;
  const transport = transportSettings('client: grpcOptions', channelOptions, dialTimeout);
  refuseCallOptions(options.defaultCallOptions);
  // As etcd3: one address with https, or credentials, and all are spoken to over TLS.
  const isSecure = credentials !== undefined || endpoints.some(({ secure }) => secure === true);
  const tls = isSecure ? tlsOf(credentials ?? {}, channelOptions['grpc.ssl_target_name_override']) : undefined;
  return {
    endpoints,
    tls: () => tls,
    auth: auth === undefined ? undefined : { username: auth.username ?? '', password: auth.password ?? '' },
    headers: () => NO_HEADERS,
    transport,
    isClosed,
    refuseMock,
  };
}

const NO_HEADERS = {};

function tlsOf(credentials: NonNullable<Etcd3Options['credentials']>, name: unknown): ConnectionOptions {
  const { rootCertificate, privateKey, certChain } = credentials;
  try {
    const secureContext = createSecureContext({
      ...(rootCertificate && { ca: rootCertificate }),
      ...(privateKey && { key: privateKey }),
      ...(certChain && { cert: certChain }),
    });
    return namedTls({ secureContext }, typeof name === 'string' ? name : undefined);
  } catch (error) {
    throw invalidArgument('client: credentials', `certificates that can be read (${reasonOf(error)})`, credentials);
  }
}

/** Deadlines among them are meant for calls of etcd3's; what changes a call cannot be honoured, and is refused. */
function refuseCallOptions(given: unknown): void {
  if (typeof given !== 'function') {
    refuseUnsupported('defaultCallOptions', given);
    return;
  }
  for (const context of [
    { service: 'KV', method: 'range', isStream: false, params: {} },
    { service: 'Watch', method: 'watch', isStream: true, params: {} },
  ]) {
    let options: unknown;
    try {
      options = (given as (context: object) => unknown)(context);
    } catch (error) {
      throw callbackFailed('client: defaultCallOptions', error);
    }
    refuseUnsupported('defaultCallOptions', options);
  }
}
