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
  return TEXT;
}

/** The one that {@link text} gives: who has the text already need not ask it. */
export const TEXT: Codec<string> = Object.freeze({
  encode: (value: string) => encoder.encode(value),
  decode: (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'),
});
