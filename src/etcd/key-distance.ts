/** The bytes that keys are made of, as far as was seen: with them as digits, a step from key to key is a number. */
export interface Alphabet {
  readonly low: number;
  readonly high: number;
}

/** The alphabet widened by what is in a key from `offset` on. */
export function widened(alphabet: Alphabet, key: Uint8Array, offset: number): Alphabet {
  let { low, high } = alphabet;
  for (const byte of key.subarray(offset)) {
    if (byte < low) low = byte;
    if (byte > high) high = byte;
  }
  return { low, high };
}

export const NO_BYTES: Alphabet = { low: 0xff, high: 0 };

/**
 * The key that lies `factor` times as far behind `from` as `first` and `last` lie apart: where about so many more
 * keys can be expected to end. An estimate, of keys that agree up to `offset`; undefined when no key lies so far away.
 */
export function extrapolateKey(
  from: Uint8Array,
  { first, last }: { readonly first: Uint8Array; readonly last: Uint8Array },
  factor: number,
  offset: number,
  { low, high }: Alphabet,
): Uint8Array | undefined {
  const base = BigInt(high - low + 1);
  const length = commonLength(first, last) + PRECISION_BYTES;
  const asNumber = (key: Uint8Array): bigint => {
    let number = 0n;
    for (let at = offset; at < length; at++) number = number * base + BigInt(Math.max(0, (key[at] ?? 0) - low));
    return number;
  };
  const distance = asNumber(last) - asNumber(first);
  let number = asNumber(from) + (distance * BigInt(Math.ceil(factor * 16))) / 16n + 1n;
  const key = Buffer.alloc(length);
  key.set(from.subarray(0, offset));
  for (let at = length - 1; at >= offset; at--) {
    key[at] = low + Number(number % base);
    number /= base;
  }
  return number === 0n ? key : undefined;
}

const PRECISION_BYTES = 4;

function commonLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
