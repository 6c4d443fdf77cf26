import { keyArgument, prefixEnd } from '../etcd/keys.ts';
import type { KeyRange } from '../etcd/member.ts';

const ZERO = Uint8Array.of(0);

/** The range of all keys that begin with a prefix, in a namespace. Throws when the argument is no key. */
export function prefixRange(argument: string, prefix: string, namespace: Uint8Array): KeyRange {
  const key = Buffer.concat([namespace, keyArgument(argument, prefix)]);
  // All keys there are: etcd has no empty key to begin at.
  if (key.length === 0) return { key: ZERO, rangeEnd: ZERO, namespaceBytes: 0 };
  return { key, rangeEnd: prefixEnd(key), namespaceBytes: namespace.length };
}
