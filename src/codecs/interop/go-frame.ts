import { invalidArgument } from '../../errors.ts';
import type { Codec } from '../codec.ts';
import { goJson, parseObject, type JsonObject } from './go-json.ts';
import { keySegment } from './key-part.ts';

/** A service as GoFrame registers it. All but the metadata is in the key. */
export interface GoFrameService {
  readonly head: string;
  readonly deployment: string;
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  /** The instances, as `host:port`. One key can hold several. */
  readonly endpoints: readonly string[];
  readonly metadata: JsonObject;
}

/** How {@link goFrame} lays out its keys. */
export interface GoFrameOptions {
  /** Default: `service`, as in GoFrame 2.1 and later; before, it was `services`. */
  readonly head?: string;
  /** Default: `default`. */
  readonly deployment?: string;
  /** Default: `default`. */
  readonly namespace?: string;
}

/** See {@link goFrame}. */
export interface GoFrame {
  readonly codec: Codec<GoFrameService>;
  /** What GoFrame registers with, by default. */
  readonly ttlSeconds: number;
  /** All versions of a service, or one. */
  readonly prefix: (name: string, version?: string) => string;
  /** The key of a service's registration. `version` is `latest` when it is not given. */
  readonly key: (name: string, endpoints: readonly string[], version?: string) => string;
}

/**
 * The format of GoFrame: `/service/<deployment>/<namespace>/<name>/<version>/<host:port,host:port>` holds the
 * service's metadata as JSON. The addresses are in the key.
 *
 * Reading takes the whole key apart, so watch with the client itself and not with a namespace of it: a key
 * with fewer than six parts is rejected, and reported. An empty value reads as no metadata.
 *
 * @source https://pkg.go.dev/github.com/gogf/gf/v2/net/gsvc
 * @example
 * ```ts
 * import { goFrame } from 'rx-etcd/interop';
 *
 * const { codec, key } = goFrame();
 * const place = key('hello', ['10.0.0.7:8000', '10.0.0.7:8001']);
 * console.log(place); // /service/default/default/hello/latest/10.0.0.7:8000,10.0.0.7:8001
 * console.log(codec.decode(Buffer.from('{}'), place)?.endpoints.length); // 2
 * ```
 */
export function goFrame(options: GoFrameOptions = {}): GoFrame {
  const head = keySegment('options.head', options.head ?? 'service');
  const deployment = keySegment('options.deployment', options.deployment ?? 'default');
  const namespace = keySegment('options.namespace', options.namespace ?? 'default');
  const root = `/${head}/${deployment}/${namespace}`;
  return {
    codec: { encode: ({ metadata }) => goJson(metadata), decode: decodeService },
    ttlSeconds: 10,
    prefix(name, version) {
      const all = `${root}/${keySegment('name', name)}/`;
      return version === undefined ? all : `${all}${keySegment('version', version)}/`;
    },
    key(name, endpoints, version = 'latest') {
      if (endpoints.length === 0) throw invalidArgument('endpoints', 'at least one host:port', endpoints);
      const addresses = endpoints.map((endpoint) => keySegment('endpoints', endpoint)).join(',');
      return `${root}/${keySegment('name', name)}/${keySegment('version', version)}/${addresses}`;
    },
  };
}

/** Without the slashes around it. No regular expression: one that looks for the last run is quadratic in all of them. */
function withoutSlashes(key: string): string {
  let [start, end] = [0, key.length];
  while (start < end && key[start] === '/') start += 1;
  while (end > start && key[end - 1] === '/') end -= 1;
  return key.slice(start, end);
}

const PARTS = 6;

function decodeService(bytes: Uint8Array, key: string): GoFrameService {
  const [head, deployment, namespace, name, version, addresses] = withoutSlashes(key).split('/', PARTS);
  if (
    head === undefined ||
    deployment === undefined ||
    namespace === undefined ||
    name === undefined ||
    version === undefined ||
    addresses === undefined
  ) {
    throw new TypeError('expected a key like /service/default/default/name/latest/host:port');
  }
  const endpoints = addresses
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  return { head, deployment, namespace, name, version, endpoints, metadata: readMetadata(bytes) };
}

function readMetadata(bytes: Uint8Array): JsonObject {
  // GoFrame writes no metadata as {}, null or nothing at all, depending on its version.
  return bytes.length === 0 || (bytes.length === 4 && Buffer.from(bytes).toString() === 'null')
    ? {}
    : parseObject(bytes);
}
