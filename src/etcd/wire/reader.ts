/**
 * Reads Protocol Buffers' wire format from one message. Written by hand for speed, docs/decisions/0006: a position
 * in a buffer, numbers without 64-bit objects, strings without views.
 *
 * Whatever the bytes are, it ends: each read goes forward within the message, or throws a `RangeError`.
 *
 * @source https://protobuf.dev/programming-guides/encoding/
 */
export class WireReader {
  readonly bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position: number = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  /** A varint of up to 32 bits: tags, lengths, booleans. Of a longer one, the low 32 bits. */
  uint32(): number {
    const first = this.bytes[this.position];
    if (first === undefined) throw this.#truncated();
    if (first < 0x80) {
      this.position += 1;
      return first;
    }
    this.#varint();
    return low >>> 0;
  }

  /** A varint as a signed 64-bit number: exact up to 2^53, rounded beyond. */
  int64(): number {
    const first = this.bytes[this.position];
    if (first === undefined) throw this.#truncated();
    if (first < 0x80) {
      this.position += 1;
      return first;
    }
    this.#varint();
    return high * 2 ** 32 + (low >>> 0);
  }

  /** A varint as the low half of a signed 64-bit number; the other one is {@link high} then. */
  int64Low(): number {
    this.#varint();
    return low;
  }

  /** The high half of the number read last by {@link int64Low}, as a signed 32-bit integer like the low one. */
  get high(): number {
    return high;
  }

  /** The end of what follows a length, as a position; it lies at or before `limit`. */
  end(limit: number): number {
    const end = this.uint32() + this.position;
    if (end > limit) throw new RangeError(`a length at byte ${this.position} goes beyond its message`);
    return end;
  }

  /** Goes past a field that is not wanted. `depth` bounds groups in groups. */
  skip(tag: number, limit: number, depth: number = 0): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.position += 8;
        break;
      case 2:
        this.position = this.end(limit);
        break;
      case 3:
        this.#skipGroup(tag >>> 3, limit, depth);
        break;
      case 5:
        this.position += 4;
        break;
      default:
        throw new RangeError(`no such wire type: ${tag & 7} at byte ${this.position}`);
    }
    if (this.position > limit) throw this.#truncated();
  }

  #skipGroup(field: number, limit: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError('groups within groups too deep');
    for (;;) {
      const tag = this.uint32();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new RangeError(`a group ends with another one's mark at byte ${this.position}`);
        return;
      }
      this.skip(tag, limit, depth + 1);
    }
  }

  /** Leaves its halves in `low` and `high`, as signed 32-bit integers: those take no memory of their own. */
  #varint(): void {
    const { bytes } = this;
    let at = this.position;
    low = 0;
    high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw this.#truncated();
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= byte << 28;
        high = (byte & 0x7f) >> 4;
      } else high |= (byte & 0x7f) << (shift - 32);
      if (byte < 0x80) {
        this.position = at;
        return;
      }
    }
    throw new RangeError(`a number at byte ${this.position} does not end`);
  }

  #truncated(): RangeError {
    return new RangeError(`the message ends too early, after ${this.bytes.length} bytes`);
  }
}

const MAX_DEPTH = 100;

let low = 0;
let high = 0;
