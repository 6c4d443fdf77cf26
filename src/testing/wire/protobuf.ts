/**
 * How a field is written. `int` is an int64 read as a number, exact up to 2^53; `id` an int64 and `uint` a uint64 read
 * as a bigint, for what is compared and not counted.
 */
type Scalar = 'int' | 'id' | 'uint' | 'bool' | 'string' | 'bytes';

/** One field of a message: its number on the wire and how its value `V` is written. */
export interface Field<V> {
  readonly number: number;
  readonly kind: Scalar | (() => MessageType<never>);
  readonly shape: 'single' | 'optional' | 'repeated';
  /** Never there: it ties the field to the type of its value. */
  readonly type?: V;
}

/** A message with any of its fields left out: those have their zero value. */
export type PartialMessage<T> = T extends bigint | string | number | boolean | Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? readonly PartialMessage<E>[]
    : { readonly [K in keyof T]?: PartialMessage<T[K]> | undefined };

export const int = (number: number): Field<number> => ({ number, kind: 'int', shape: 'single' });
export const id = (number: number): Field<bigint> => ({ number, kind: 'id', shape: 'single' });
export const uint = (number: number): Field<bigint> => ({ number, kind: 'uint', shape: 'single' });
export const bool = (number: number): Field<boolean> => ({ number, kind: 'bool', shape: 'single' });
export const string = (number: number): Field<string> => ({ number, kind: 'string', shape: 'single' });
export const bytes = (number: number): Field<Uint8Array> => ({ number, kind: 'bytes', shape: 'single' });
/** A message in a message: `undefined` when it is not there, as for the parts of a `oneof`. */
export const sub = <T>(number: number, kind: () => MessageType<T>): Field<T | undefined> => ({
  number,
  kind: kind as () => MessageType<never>,
  shape: 'optional',
});
/** A field that tells "not there" from its zero value. */
export const optional = <V>({ number, kind }: Field<V>): Field<V | undefined> => ({ number, kind, shape: 'optional' });
export const repeated = <V>({ number, kind }: Field<V>): Field<readonly Exclude<V, undefined>[]> => ({
  number,
  kind,
  shape: 'repeated',
});

/** A message of Protocol Buffers, by the table of its fields: read into, and written from, plain objects. */
export class MessageType<T> {
  readonly name: string;
  readonly #fields: readonly (readonly [name: string, field: Field<unknown>])[];
  readonly #byNumber: ReadonlyMap<number, readonly [name: string, field: Field<unknown>]>;

  constructor(name: string, fields: { readonly [K in keyof T]-?: Field<T[K]> }) {
    this.name = name;
    // In the order of their numbers, as Go writes them.
    this.#fields = Object.entries<Field<unknown>>(fields).sort(([, a], [, b]) => a.number - b.number);
    this.#byNumber = new Map(this.#fields.map((named) => [named[1].number, named]));
  }

  /** Zero values are left out, as proto3 has it. */
  encode(message: PartialMessage<T>): Buffer {
    const writer = new Writer();
    this.writeTo(writer, message);
    return writer.done();
  }

  /** All fields are there, with their zero values if need be; unknown ones are skipped. Throws a `RangeError`. */
  decode(bytes: Uint8Array): T {
    return this.readFrom(new Reader(bytes), bytes.length);
  }

  /** @internal */
  writeTo(writer: Writer, message: PartialMessage<T>): void {
    for (const [name, field] of this.#fields) {
      const value = (message as Readonly<Record<string, unknown>>)[name];
      if (value === undefined) continue;
      if (field.shape === 'repeated') for (const each of value as Iterable<unknown>) writeField(writer, field, each);
      else if (field.shape === 'optional' || !isZero(value)) writeField(writer, field, value);
    }
  }

  /** @internal */
  readFrom(reader: Reader, end: number): T {
    const message: Record<string, unknown> = {};
    for (const [name, field] of this.#fields) message[name] = zeroOf(field);
    while (reader.position < end) {
      const tag = reader.tag();
      const [name, field] = this.#byNumber.get(Math.floor(tag / 8)) ?? [];
      if (name === undefined || field === undefined || !isWrittenAs(field, tag & 7)) reader.skip(tag, end);
      else if (field.shape === 'repeated') readRepeated(reader, field, tag & 7, end, message[name] as unknown[]);
      else message[name] = readField(reader, field, end);
    }
    if (reader.position !== end) throw new RangeError(`a ${this.name} that goes beyond its end`);
    return message as T;
  }
}

function isZero(value: unknown): boolean {
  return (
    value === 0 ||
    value === 0n ||
    value === false ||
    value === '' ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function zeroOf({ kind, shape }: Field<unknown>): unknown {
  if (shape === 'repeated') return [];
  if (shape === 'optional') return undefined;
  switch (kind) {
    case 'int':
      return 0;
    case 'id':
    case 'uint':
      return 0n;
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'bytes':
      return NO_BYTES;
    default:
      return undefined;
  }
}

function writeField(writer: Writer, { number, kind }: Field<unknown>, value: unknown): void {
  switch (kind) {
    case 'int':
      writer.varint(number * 8);
      writer.int64(value as number);
      break;
    case 'id':
    case 'uint':
      writer.varint(number * 8);
      writer.bigint(value as bigint);
      break;
    case 'bool':
      writer.varint(number * 8);
      writer.varint(value === true ? 1 : 0);
      break;
    case 'string':
      writer.varint(number * 8 + 2);
      writer.bytes(Buffer.from(value as string));
      break;
    case 'bytes':
      writer.varint(number * 8 + 2);
      writer.bytes(value as Uint8Array);
      break;
    default:
      writer.varint(number * 8 + 2);
      writer.nested(() => {
        kind().writeTo(writer, value as never);
      });
  }
}

function isWrittenAs({ kind, shape }: Field<unknown>, wireType: number): boolean {
  const isNumber = kind === 'int' || kind === 'id' || kind === 'uint' || kind === 'bool';
  return isNumber ? wireType === 0 || (wireType === 2 && shape === 'repeated') : wireType === 2;
}

function readRepeated(reader: Reader, field: Field<unknown>, wireType: number, end: number, into: unknown[]): void {
  const isPacked = wireType === 2 && isWrittenAs({ ...field, shape: 'single' }, 0);
  if (!isPacked) into.push(readField(reader, field, end));
  else for (const packedEnd = reader.end(end); reader.position < packedEnd;) into.push(readField(reader, field, end));
}

function readField(reader: Reader, { kind }: Field<unknown>, end: number): unknown {
  switch (kind) {
    case 'int':
      return reader.int64();
    case 'id':
      return BigInt.asIntN(64, reader.bigint());
    case 'uint':
      return reader.bigint();
    case 'bool':
      return reader.bigint() !== 0n;
    case 'string':
      return reader.slice(end).toString();
    case 'bytes':
      return reader.slice(end);
    default:
      return kind().readFrom(reader, reader.end(end));
  }
}

const NO_BYTES = Buffer.alloc(0);

/** Bytes that grow. @internal */
export class Writer {
  #buffer: Buffer = Buffer.allocUnsafe(256);
  #length = 0;

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  int64(value: number): void {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) this.varint(value);
    else this.bigint(BigInt(Math.trunc(value)));
  }

  bigint(value: bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Writes what `write` writes, with its length before it. */
  nested(write: () => void): void {
    this.#reserve(1);
    const start = ++this.#length;
    write();
    const length = this.#length - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return;
    }
    // One byte was kept for the length; it takes more.
    const taken = lengthOfVarint(length);
    this.#reserve(taken);
    this.#buffer.copyWithin(start - 1 + taken, start, start + length);
    this.#length = start - 1;
    this.varint(length);
    this.#length += length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + count));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Bytes and a place in them. @internal */
export class Reader {
  readonly #bytes: Buffer;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  tag(): number {
    const tag = this.bigint();
    if (tag > 0xffff_ffffn) throw new RangeError('a tag of more than 32 bits');
    return Number(tag);
  }

  bigint(): bigint {
    // In halves of 28 bits: those are exact as numbers, and most values need one of them.
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let at = 0; at < 10; at++) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (at < 4) low |= bits << (7 * at);
      else if (at < 8) middle |= bits << (7 * (at - 4));
      else high |= bits << (7 * (at - 8));
      if (byte < 0x80) {
        if (high === 0 && middle < 2 ** 24) return BigInt(low + middle * 2 ** 28);
        return BigInt.asUintN(64, BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n));
      }
    }
    throw new RangeError('a number of more than ten bytes');
  }

  int64(): number {
    const start = this.position;
    let value = 0;
    for (let at = 0; at < 7; at++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * at);
      if (byte < 0x80) return value;
    }
    this.position = start;
    return Number(BigInt.asIntN(64, this.bigint()));
  }

  /** Where a part with its length before it ends. */
  end(limit: number): number {
    const end = this.int64() + this.position;
    if (end > limit || end < this.position) throw new RangeError('a length that goes beyond its message');
    return end;
  }

  slice(limit: number): Buffer {
    const end = this.end(limit);
    const part = this.#bytes.subarray(this.position, end);
    this.position = end;
    return part;
  }

  skip(tag: number, limit: number): void {
    switch (tag & 7) {
      case 0:
        this.bigint();
        break;
      case 1:
        this.position += 8;
        break;
      case 2:
        this.position = this.end(limit);
        break;
      case 5:
        this.position += 4;
        break;
      default:
        throw new RangeError(`no such wire type: ${tag & 7}`);
    }
    if (this.position > limit) throw new RangeError('the message ends too early');
  }

  #byte(): number {
    const byte = this.#bytes[this.position++];
    if (byte === undefined) throw new RangeError('the message ends too early');
    return byte;
  }
}

function lengthOfVarint(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}
