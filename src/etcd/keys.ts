import { invalidArgument } from '../errors.ts';
import type { KeyRange } from './member.ts';

const encoder = new TextEncoder();

/**
 * Keys are bytes in etcd and strings here. Valid UTF-8 reads as usual; each byte that is not valid UTF-8
 * becomes the lone surrogate U+DC80…U+DCFF, so that different keys stay different and can be written back.
 *
 * All of it is linear, and fast for a key of a megabyte as well: anybody who may write under a prefix chooses its keys.
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

/**
 * Orders keys as etcd does, by their bytes; a string that is no key of etcd's has a place too, because a user may ask a
 * snapshot for any string. Encodes nothing: with one such key in a tree, each comparison in it comes here.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  let at = commonLength(a, b);
  // A surrogate pair is one character: its second half alone says nothing of the order.
  if (at > 0 && isHighSurrogate(a.charCodeAt(at - 1))) at -= 1;
  // Below the surrogates, code units are in the order of their bytes.
  const [unitA, unitB] = [a.charCodeAt(at), b.charCodeAt(at)];
  if (unitA < 0xd800 && unitB < 0xd800) return unitA - unitB;
  return compareFrom(at, a, b);
}

/**
 * Whether JavaScript's own string order can differ from etcd's for this key: only code units from U+D800
 * on are ordered otherwise in UTF-16 than in UTF-8.
 */
export function needsByteOrder(key: string): boolean {
  return /[\uD800-\uFFFF]/.test(key);
}

// Long enough that comparing whole chunks is worth a slice.
const CHUNK = 256;

/** How many code units two strings begin with in common. */
function commonLength(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at + CHUNK <= length && a.slice(at, at + CHUNK) === b.slice(at, at + CHUNK)) at += CHUNK;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return at;
}

/** Compares byte by byte from a character on, which is decided within a few bytes for keys of etcd's. */
function compareFrom(at: number, a: string, b: string): number {
  const [bytesOfA, bytesOfB] = [bytesFrom(a, at), bytesFrom(b, at)];
  for (;;) {
    const [nextA, nextB] = [bytesOfA(), bytesOfB()];
    if (nextA !== nextB) return nextA - nextB;
    if (nextA === -1) return 0;
  }
}

/** Gives the bytes of a key one by one, from a character on; -1 after the last one. */
function bytesFrom(key: string, from: number): () => number {
  let at = from;
  const character: number[] = [];
  return () => {
    if (character.length > 0) return character.shift() as number;
    if (at >= key.length) return -1;
    const point = key.codePointAt(at) as number;
    at += point > 0xffff ? 2 : 1;
    pushBytes(point, character);
    return character.shift() as number;
  };
}

/** A lone surrogate that stands for no byte comes after all keys, where no byte of UTF-8 is. */
function pushBytes(point: number, into: number[]): void {
  if (point < 0x80) into.push(point);
  else if (point < 0x800) into.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
  else if (isEscapedByte(point)) into.push(point - 0xdc00);
  else if (point >= 0xd800 && point <= 0xdfff) into.push(0x100, point);
  else if (point < 0x10000) into.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  else {
    into.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isEscapedByte(point: number): boolean {
  return point >= 0xdc80 && point <= 0xdcff;
}

function decodeEscaped(bytes: Uint8Array): string {
  // A byte makes at most one code unit.
  const units = new Uint16Array(bytes.length);
  let length = 0;
  let at = 0;
  while (at < bytes.length) {
    const sequence = sequenceLength(bytes, at);
    const point = sequence === 0 ? 0xdc00 + (bytes[at] as number) : codePointOf(bytes, at, sequence);
    if (point > 0xffff) {
      units[length++] = 0xd7c0 + (point >> 10);
      units[length++] = 0xdc00 + (point & 0x3ff);
    } else units[length++] = point;
    at += sequence || 1;
  }
  return Buffer.from(units.buffer, 0, length * 2).toString('utf16le');
}

/** The length of the valid UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf5 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  for (let next = 1; next < length; next++) {
    // Also false for what lies behind the end.
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  const second = bytes[at + 1] as number;
  // Overlong forms, surrogates, and what is beyond U+10FFFF.
  if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return 0;
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return 0;
  return length;
}

const FIRST_BITS = [0, 0x7f, 0x1f, 0x0f, 0x07];

function codePointOf(bytes: Uint8Array, at: number, length: number): number {
  let point = (bytes[at] as number) & (FIRST_BITS[length] as number);
  for (let next = 1; next < length; next++) point = (point << 6) | ((bytes[at + next] as number) & 0x3f);
  return point;
}

function encodeEscaped(key: string): Uint8Array {
  // A code unit makes at most three bytes.
  const bytes = Buffer.allocUnsafe(key.length * 3);
  let length = 0;
  let at = 0;
  while (at < key.length) {
    const point = key.codePointAt(at) as number;
    if (isEscapedByte(point)) {
      bytes[length++] = point - 0xdc00;
      at += 1;
      continue;
    }
    // All that is well-formed up to the next byte that is not, in one go.
    let end = at;
    while (end < key.length && !isLoneSurrogate(key, end)) end += (key.codePointAt(end) as number) > 0xffff ? 2 : 1;
    if (end === at) throw new RangeError('a lone surrogate outside U+DC80…U+DCFF');
    length += bytes.write(key.slice(at, end), length, 'utf8');
    at = end;
  }
  return Uint8Array.from(bytes.subarray(0, length));
}

function isLoneSurrogate(key: string, at: number): boolean {
  const point = key.codePointAt(at) as number;
  return point >= 0xd800 && point <= 0xdfff;
}
