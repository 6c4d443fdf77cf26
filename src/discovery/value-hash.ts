/**
 * A value's bytes in 64 bits, as two signed 32-bit halves: tells later whether bytes are the same, without keeping
 * them.
 *
 * Linear and without an allocation. Not safe against somebody who constructs two values of one hash: who could write
 * them could as well write the same value.
 */
export function hashBytes(bytes: Uint8Array): ValueHash {
  let a = 0x2545f491;
  let b = bytes.length;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul((b << 13) | (b >>> 19), 0x5bd1e995) ^ byte;
  }
  // What a multiplication never reaches are the low bits: mixed into both halves from above.
  a = Math.imul(a ^ (a >>> 15) ^ b, 0x27d4eb2f);
  b = Math.imul(b ^ (b >>> 13) ^ a, 0x165667b1);
  return { high: a ^ (a >>> 16), low: b ^ (b >>> 15) };
}

export interface ValueHash {
  readonly high: number;
  readonly low: number;
}
