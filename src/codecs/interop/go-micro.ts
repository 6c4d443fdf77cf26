import type { Codec } from '../codec.ts';
import { arrayField, asObject, goJson, parseObject, stringField, stringMapField } from './go-json.ts';
import { keyPart } from './key-part.ts';

/** A service as go-micro writes it, with the one node of its key; what else the JSON holds stays on the objects. */
export interface GoMicroService {
  readonly name: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly GoMicroEndpoint[];
  /** The instances. go-micro writes one a key; the format could hold several. */
  readonly nodes: readonly GoMicroNode[];
}

/** One node of a {@link GoMicroService}. */
export interface GoMicroNode {
  readonly metadata: Readonly<Record<string, string>>;
  readonly id: string;
  readonly address: string;
}

/** A method of the service. `request` and `response` describe its messages. */
export interface GoMicroEndpoint {
  readonly name: string;
  readonly request?: unknown;
  readonly response?: unknown;
  readonly metadata: Readonly<Record<string, string>>;
}

/** See {@link goMicro}. */
export interface GoMicro {
  readonly codec: Codec<GoMicroService>;
  /** What go-micro registers with, by default. */
  readonly ttlSeconds: number;
  /** All nodes of a service. */
  readonly prefix: (name: string) => string;
  /** The key of one node. */
  readonly key: (name: string, nodeId: string) => string;
}

const ROOT = '/micro/registry';

/**
 * The format of go-micro: `/micro/registry/<service>/<node id>` holds the service as JSON, with one node.
 *
 * A `/` in a name or an id becomes `-` in the key. Absent and null lists and maps, which Go writes for
 * empty ones, read as empty.
 *
 * @source https://github.com/micro/go-micro
 * @example
 * ```ts
 * import { goMicro } from 'rx-etcd/interop';
 *
 * const { prefix, key } = goMicro();
 * console.log(prefix('go.micro/greeter'), key('greeter', 'greeter-1'));
 * // /micro/registry/go.micro-greeter/ /micro/registry/greeter/greeter-1
 * ```
 */
export function goMicro(): GoMicro {
  return {
    codec: {
      encode: ({ name, version, metadata, endpoints, nodes, ...others }) =>
        goJson({ name, version, metadata, endpoints, nodes, ...others }),
      decode(bytes) {
        const object = parseObject(bytes);
        return {
          ...object,
          name: stringField(object, 'name'),
          version: stringField(object, 'version'),
          metadata: stringMapField(object, 'metadata'),
          endpoints: arrayField(object, 'endpoints', readEndpoint),
          nodes: arrayField(object, 'nodes', readNode),
        };
      },
    },
    ttlSeconds: 90,
    prefix: (name) => `${ROOT}/${segment('name', name)}/`,
    key: (name, nodeId) => `${ROOT}/${segment('name', name)}/${segment('nodeId', nodeId)}`,
  };
}

function readNode(value: unknown, place: string): GoMicroNode {
  const node = asObject(value, place);
  return {
    ...node,
    metadata: stringMapField(node, 'metadata'),
    id: stringField(node, 'id'),
    address: stringField(node, 'address'),
  };
}

function readEndpoint(value: unknown, place: string): GoMicroEndpoint {
  const endpoint = asObject(value, place);
  return { ...endpoint, name: stringField(endpoint, 'name'), metadata: stringMapField(endpoint, 'metadata') };
}

function segment(argument: string, value: string): string {
  return keyPart(argument, value).replaceAll('/', '-');
}
