import type { Codec } from './codec.ts';

const encoder = new TextEncoder();

/**
 * Values as text in UTF-8: the default everywhere.
 *
 * Never refuses bytes: what is not valid UTF-8 reads as U+FFFD, the replacement character.
 *
 * @example
 * ```ts
 * import { text } from 'rx-etcd';
 *
 * console.log(text().decode(text().encode('小王', 'name'), 'name')); // 小王
 * ```
 */
export function text(): Codec<string> {
  return {
    encode: (value) => encoder.encode(value),
    // Values off the wire are Buffers: no need of another view of them.
    decode: (bytes) =>
      (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).toString('utf8'),
  };
}
