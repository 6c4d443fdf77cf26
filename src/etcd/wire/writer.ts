/**
 * Writes Protocol Buffers' wire format: the counterpart of `WireReader`. One writer makes one message; a field that is
 * zero, empty or absent is the caller's to leave out.
 *
 * @source https://protobuf.dev/programming-guides/encoding/
 */
export class WireWriter {
  #bytes: Buffer = Buffer.allocUnsafe(128);
  #length = 0;

  /** What was written. The writer must not be used again. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A field of 64 bits, signed or not. Text and bigints are exact; numbers are integers up to 2^53. */
  int64(field: number, value: number | bigint | string): void {
    this.#reserve(20);
    this.#varint(0, (field << 3) >>> 0);
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      this.#varint(Math.floor(value / 2 ** 32) >>> 0, value >>> 0);
    } else {
      const bits = BigInt.asUintN(64, BigInt(value));
      this.#varint(Number(bits >> 32n), Number(bits & 0xffffffffn));
    }
  }

  bool(field: number, value: boolean): void {
    this.int64(field, value ? 1 : 0);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(20 + value.length);
    this.#varint(0, ((field << 3) | LENGTH_DELIMITED) >>> 0);
    this.#varint(0, value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  string(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, 'utf8'));
  }

  /** A message within the message, written by `write`. */
  message(field: number, write: (writer: WireWriter) => void): void {
    const inner = new WireWriter();
    write(inner);
    this.bytes(field, inner.finish());
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  #varint(high: number, low: number): void {
    let h = high;
    let l = low;
    while (h > 0 || l > 0x7f) {
      this.#bytes[this.#length++] = (l & 0x7f) | 0x80;
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>>= 7;
    }
    this.#bytes[this.#length++] = l;
  }
}

const LENGTH_DELIMITED = 2;
