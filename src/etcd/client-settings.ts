import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { RxEtcdError, invalidArgument } from '../errors.ts';
import { parseEndpoint, type Endpoint } from './http2/endpoint.ts';

/** A user of etcd's authentication. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** How connections are made and kept, as users of grpc name it. */
export interface TransportSettings {
  readonly keepAliveMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Bound of a connection; absent, it grows with failures. */
  readonly dialTimeoutMs: number | undefined;
  readonly authority: string | undefined;
  readonly userAgent: string;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  /** Whether an HTTP proxy that the environment names is used. */
  readonly usesProxy: boolean;
}

/** What a client is to the connection: where the members are, and how to reach and authenticate to them. */
export interface ClientSettings {
  readonly endpoints: readonly Endpoint[];
  /** Asked before each connection; `undefined` for one without TLS. */
  readonly tls: (endpoint: Endpoint) => ConnectionOptions | undefined;
  readonly auth: Credentials | undefined;
  /** What a call carries besides. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly transport: TransportSettings;
  readonly isClosed: () => boolean;
  /** Throws for a client that was mocked since it was resolved. */
  readonly refuseMock: () => void;
}

/** The addresses of a client: one string, or an array of them. */
export function endpointsArgument(argument: string, hosts: unknown): readonly Endpoint[] {
  if (typeof hosts === 'string') return [parseEndpoint(argument, hosts)];
  if (!Array.isArray(hosts) || hosts.length === 0) {
    throw invalidArgument(argument, 'an address such as http://127.0.0.1:2379, or an array of them', hosts);
  }
  return hosts.map((host, index) => parseEndpoint(`${argument}[${index}]`, host));
}

const DEFAULT_KEEP_ALIVE_MS = 10_000;
const DEFAULT_KEEP_ALIVE_TIMEOUT_MS = 5000;

/** A server answers pings more frequent than that with GOAWAY. */
const SHORTEST_KEEP_ALIVE_MS = 5000;

/** grpc takes it, and more, for "never". */
const NEVER_MS = 2 ** 31 - 1;

const USER_AGENT = 'rx-etcd';

/** What cannot be honoured, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  interceptors: HEADERS_INSTEAD('interceptors'),
  interceptor_providers: HEADERS_INSTEAD('interceptors'),
  callInvocationTransformer: HEADERS_INSTEAD('call transformers'),
  channelOverride: 'channels of grpc-js are not used; give `hosts` and `tls` as options instead of an Etcd3',
  channelFactoryOverride: 'channels of grpc-js are not used; give `hosts` and `tls` as options instead of an Etcd3',
};

function HEADERS_INSTEAD(what: string): string {
  return `${what} of grpc-js are not used; give the metadata they set as \`headers\` (an object or a function), with options instead of an Etcd3`;
}

/** Throws for an option of grpc-js that changes calls and that this transport cannot honour. */
export function refuseUnsupported(argument: string, options: unknown): void {
  if (typeof options !== 'object' || options === null) return;
  for (const [name, instead] of Object.entries(REFUSED)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    throw new RxEtcdError('unsupported-client', `client: ${argument}.${name} cannot be honoured: ${instead}`);
  }
}

/** Reads `grpcOptions`. What is about grpc's own retries, balancing and caches has no meaning here, and is not looked at. */
export function transportSettings(
  argument: string,
  options: Readonly<Record<string, unknown>>,
  dialTimeoutMs: unknown,
): TransportSettings {
  refuseUnsupported(argument, options);
  const number = (name: string): number | undefined => {
    const value = options[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number' || Number.isNaN(value))
      throw invalidArgument(`${argument}["${name}"]`, 'a number', value);
    return value;
  };
  const text = (name: string): string | undefined => {
    const value = options[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string' || !isHeaderValue(value)) {
      throw invalidArgument(`${argument}["${name}"]`, 'a string of printable ASCII', value);
    }
    return value;
  };
  const userAgent = [text('grpc.primary_user_agent'), USER_AGENT, text('grpc.secondary_user_agent')];
  return {
    keepAliveMs: keepAliveMs(number('grpc.keepalive_time_ms')),
    keepAliveTimeoutMs: Math.max(1, number('grpc.keepalive_timeout_ms') ?? DEFAULT_KEEP_ALIVE_TIMEOUT_MS),
    dialTimeoutMs: dialTimeout(dialTimeoutMs),
    authority: text('grpc.default_authority'),
    userAgent: userAgent.filter((part) => part !== undefined).join(' '),
    maxReceiveBytes: number('grpc.max_receive_message_length') ?? -1,
    maxSendBytes: number('grpc.max_send_message_length') ?? -1,
    usesProxy: number('grpc.enable_http_proxy') !== 0,
  };
}

/** What of the TLS options follows from names that a user set: SNI, and what the certificate must be for. */
export function namedTls(options: ConnectionOptions, name: string | undefined): ConnectionOptions {
  return name === undefined || isIP(name) !== 0 ? options : { ...options, servername: name };
}

export function isHeaderValue(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value);
}

function keepAliveMs(given: number | undefined): number {
  if (given === undefined) return DEFAULT_KEEP_ALIVE_MS;
  return given <= 0 || given >= NEVER_MS ? Infinity : Math.max(SHORTEST_KEEP_ALIVE_MS, given);
}

function dialTimeout(given: unknown): number | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given !== 'number' || !(given > 0 && given < NEVER_MS)) {
    throw invalidArgument('dialTimeout', 'milliseconds above 0 and below 2^31', given);
  }
  return given;
}
