import { createSecureContext, type ConnectionOptions } from 'node:tls';
import { callbackFailed, invalidArgument, reasonOf } from '../errors.ts';
import {
  endpointsArgument,
  isHeaderValue,
  namedTls,
  transportSettings,
  type ClientSettings,
  type Credentials,
} from './client-settings.ts';
import type { Endpoint } from './http2/endpoint.ts';

/** TLS as Node names it: see `tls.connect` and `tls.createSecureContext`. */
export type EtcdTlsOptions = Pick<
  ConnectionOptions,
  | 'ca'
  | 'cert'
  | 'key'
  | 'passphrase'
  | 'pfx'
  | 'servername'
  | 'checkServerIdentity'
  | 'rejectUnauthorized'
  | 'minVersion'
  | 'maxVersion'
  | 'ciphers'
  | 'crl'
>;

/**
 * Where etcd is and how to authenticate to it, for those who have no etcd3 client. Every function takes it in place of
 * one. The connection belongs to the object: keep one, and give the same to all functions.
 *
 * @example
 * ```ts
 * import { watchPrefix$, type EtcdOptions } from 'rx-etcd';
 *
 * const etcd: EtcdOptions = { hosts: 'http://127.0.0.1:2379', namespace: '/shop/' };
 * watchPrefix$(etcd, 'user/').subscribe((hosts) => console.log([...hosts]));
 * ```
 */
export interface EtcdOptions {
  /** The members' addresses: `http://host:2379`, `https://…`, `unix:///path`. */
  readonly hosts: string | readonly string[];
  /**
   * TLS, for addresses without a scheme too. A function is called before each connection, so that certificates which
   * were renewed meanwhile are taken.
   */
  readonly tls?: EtcdTlsOptions | (() => EtcdTlsOptions);
  readonly auth?: Credentials;
  /** Put before every key, and taken off those that are given out. */
  readonly namespace?: string;
  /** Metadata of every call. A function is called for each. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);
  /** Bound of a connection, in milliseconds. Default: 3000, and more after each failure, up to 30 000. */
  readonly dialTimeout?: number;
  /** grpc's channel options, those that have a meaning here: keepalive, names, sizes, user agent. */
  readonly grpcOptions?: Readonly<Record<string, unknown>>;
}

/** Checks the options, and throws `invalid-argument` for what is wrong with them. */
export function settingsOfOptions(options: EtcdOptions): ClientSettings {
  const { hosts, tls, auth, headers, grpcOptions = {}, dialTimeout } = options;
  const endpoints = endpointsArgument('client.hosts', hosts);
  if (tls !== undefined) {
    const plain = endpoints.find(({ secure }) => secure === false);
    if (plain !== undefined)
      throw invalidArgument('client.hosts', 'https:// where `tls` is given', `http://${plain.name}`);
    if (typeof tls !== 'function') checkTls(tls);
  }
  if (typeof grpcOptions !== 'object') throw invalidArgument('client.grpcOptions', 'an object', grpcOptions);
  const transport = transportSettings('client.grpcOptions', grpcOptions, dialTimeout);
  const target = grpcOptions['grpc.ssl_target_name_override'];
  const fixed = typeof headers === 'function' ? undefined : checkedHeaders(headers ?? {});
  return {
    endpoints,
    tls: tlsOf(tls, typeof target === 'string' ? target : undefined),
    auth: checkedAuth(auth),
    headers: () => fixed ?? checkedHeaders(called('client.headers', headers as () => Readonly<Record<string, string>>)),
    transport,
    isClosed: () => false,
    refuseMock: () => undefined,
  };
}

function tlsOf(tls: EtcdOptions['tls'], name: string | undefined): ClientSettings['tls'] {
  const fixed = typeof tls === 'function' ? undefined : namedTls({ ...tls }, name);
  return ({ secure }: Endpoint) => {
    if (secure !== true && tls === undefined) return undefined;
    return fixed ?? namedTls({ ...called('client.tls', tls as () => EtcdTlsOptions) }, name);
  };
}

function checkTls(tls: unknown): void {
  if (typeof tls !== 'object' || tls === null) throw invalidArgument('client.tls', 'an object or a function', tls);
  try {
    createSecureContext(tls);
  } catch (error) {
    throw invalidArgument('client.tls', `certificates and a key that can be read (${reasonOf(error)})`, tls);
  }
}

function checkedAuth(auth: unknown): Credentials | undefined {
  if (auth === undefined) return undefined;
  const { username, password } = (auth ?? {}) as Partial<Credentials>;
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw invalidArgument('client.auth', 'an object with a username and a password', auth);
  }
  return { username, password };
}

/** Of the connection or the call itself: set here, and not by a user. */
const RESERVED = new Set([
  'te',
  'content-type',
  'user-agent',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'hasleader',
]);

function checkedHeaders(headers: unknown): Readonly<Record<string, string>> {
  if (typeof headers !== 'object' || headers === null) throw invalidArgument('client.headers', 'an object', headers);
  const checked: Record<string, string> = {};
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(name) || RESERVED.has(name) || name.startsWith('grpc-')) {
      throw invalidArgument('client.headers', 'names of metadata that are free to use', given);
    }
    if (typeof value !== 'string' || !isHeaderValue(value)) {
      throw invalidArgument(`client.headers["${name}"]`, 'a string of printable ASCII', value);
    }
    checked[name] = value;
  }
  return checked;
}

function called<R>(argument: string, callback: () => R): R {
  try {
    return callback();
  } catch (error) {
    throw callbackFailed(argument, error);
  }
}
