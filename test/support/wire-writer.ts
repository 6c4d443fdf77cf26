/** Protocol Buffers as bytes, for made-up answers: only what those need. */

export type Field = readonly [number: number, value: number | bigint | Uint8Array];

/** A message of the given fields, in the given order. */
export function message(...fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields) {
    if (value instanceof Uint8Array) parts.push(varint((number << 3) | 2), varint(value.length), value);
    else parts.push(varint(number << 3), varint(value));
  }
  return Buffer.concat(parts);
}

/** A gRPC frame: not compressed, length, message. */
export function frame(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
