/**
 * How bytes become a value and back.
 *
 * `decode` may throw: that key is then left out of the snapshot and reported, and never ends a stream.
 */
export interface Codec<T> {
  /** A value as bytes, for a registration. */
  encode(value: T, key: string): Uint8Array;
  /** Bytes as a value. `undefined` says that this key holds no instance (it is left out, unreported). */
  decode(bytes: Uint8Array, key: string): T | undefined;
}
