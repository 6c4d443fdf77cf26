/**
 * A 32-bit hash of a string: FNV-1a over its UTF-16 units, then mixed so that every bit of the result
 * depends on every bit of the string. The same in every process and version: hosts are chosen by it.
 *
 * @source http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function hashOf(text: string, seed: number = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return mix(hash);
}

/**
 * Spreads a 32-bit number over all 32 bits (the finalizer of MurmurHash3).
 *
 * @source https://github.com/aappleby/smhasher/wiki/MurmurHash3
 */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
