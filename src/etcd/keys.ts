import { invalidArgument } from '../errors.ts';
import type { KeyRange } from './member.ts';

const encoder = new TextEncoder();

/**
 * Keys are bytes in etcd and strings here. Valid UTF-8 reads as usual; each byte that is not valid UTF-8
 * becomes the lone surrogate U+DC80…U+DCFF, so that different keys stay different and can be written back.
 *
 * @source https://peps.python.org/pep-0383/
 */
export function decodeKey(bytes: Uint8Array, from: number = 0): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.length - from);
  const text = view.toString('utf8');
  // Without the replacement character nothing was replaced; with it, it may stand in the key itself.
  if (!text.includes('\uFFFD')) return text;
  return encoder.encode(text).length === view.length && Buffer.from(text).equals(view) ? text : decodeEscaped(view);
}

/** The same for a key within a message: without a view of it, unless it is a rare one. */
export function decodeKeyAt(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  return text.includes('\uFFFD') ? decodeKey(bytes.subarray(start, end)) : text;
}

/** The bytes of a key: the reverse of {@link decodeKey}. */
export function encodeKey(key: string): Uint8Array {
  return key.isWellFormed() ? encoder.encode(key) : encodeEscaped(key);
}

/** The bytes of a key given by a user, or a thrown `invalid-argument` that names it. */
export function keyArgument(argument: string, key: unknown): Uint8Array {
  if (typeof key !== 'string') throw invalidArgument(argument, 'a string', key);
  try {
    return encodeKey(key);
  } catch {
    throw invalidArgument(argument, 'well-formed Unicode', key);
  }
}

/** The end of the range of all keys that begin with `prefix`; `[0]`, etcd's "no end", when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const last = prefix.findLastIndex((byte) => byte < 0xff);
  if (last === -1) return Uint8Array.of(0);
  // Not slice(): a Buffer's would share its memory.
  const end = Uint8Array.from(prefix.subarray(0, last + 1));
  end[last] = (end[last] as number) + 1;
  return end;
}

/** Whether a key, the bytes from `start` to `end` of a message, is in a range. */
export function isInRange(bytes: Uint8Array, start: number, end: number, { key, rangeEnd }: KeyRange): boolean {
  if (rangeEnd === undefined) return compareBytes(bytes, start, end, key, 0, key.length) === 0;
  if (compareBytes(bytes, start, end, key, 0, key.length) < 0) return false;
  // `[0]` is etcd's "no end".
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return true;
  return compareBytes(bytes, start, end, rangeEnd, 0, rangeEnd.length) < 0;
}

/** Orders parts of byte arrays as etcd orders keys. A loop: for keys a native call costs more than it saves. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let index = 0; index < length; index++) {
    const difference = (a[aStart + index] as number) - (b[bStart + index] as number);
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

/** Orders keys as etcd does, by their bytes. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(comparableBytes(a), comparableBytes(b));
}

/**
 * Whether JavaScript's own string order can differ from etcd's for this key: only code units from U+D800
 * on are ordered otherwise in UTF-16 than in UTF-8.
 */
export function needsByteOrder(key: string): boolean {
  return /[\uD800-\uFFFF]/.test(key);
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] as number));
      at += 1;
    } else {
      text += Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('utf8');
      at += length;
    }
  }
  return text;
}

/** A string that is no key of etcd's has a place too: a user may ask a snapshot for any string. */
function comparableBytes(key: string): Uint8Array {
  try {
    return encodeKey(key);
  } catch {
    return Buffer.from(`\uFFFF${key}`, 'utf16le');
  }
}

/** The length of the valid UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const sequence = Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
  return Buffer.from(sequence.toString('utf8')).equals(sequence) ? length : 0;
}

function encodeEscaped(key: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const character of key) {
    const point = character.codePointAt(0) as number;
    if (point >= 0xdc80 && point <= 0xdcff) parts.push(Uint8Array.of(point - 0xdc00));
    else if (character.isWellFormed()) parts.push(encoder.encode(character));
    else throw new RangeError('a lone surrogate outside U+DC80…U+DCFF');
  }
  return Buffer.concat(parts);
}
