/**
 * How bytes become a value and back.
 *
 * A key holds none, one or several instances:
 * - none: `decode` gives `undefined`. The key is left out of the snapshot and not reported, because other
 *   systems keep other things under the same prefix.
 * - one: `decode` gives it.
 * - several, in formats that hold several in one key: the value itself has them in an array (`endpoints` of
 *   GoFrame, `nodes` of go-micro), so that a snapshot's keys always are etcd's keys.
 *
 * `decode` may throw: that key is then left out of the snapshot and reported, the others stay, and the
 * stream goes on. Both functions are synchronous, and never keep or change the bytes they were given.
 */
export interface Codec<T> {
  /** A value as bytes, for a registration. Throws when the value cannot be written. */
  encode(value: T, key: string): Uint8Array;
  /** Bytes as a value; `undefined` says that this key holds no instance. */
  decode(bytes: Uint8Array, key: string): T | undefined;
}
