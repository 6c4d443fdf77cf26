import { describe } from '../../errors.ts';
import { parseJson } from '../json-text.ts';

const encoder = new TextEncoder();

/** A JSON object as it was read. What a codec does not know stays in it, and is written back. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Bytes as a JSON object. Throws when they are none. */
export function parseObject(bytes: Uint8Array): JsonObject {
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('expected a JSON object');
  return value as JsonObject;
}

/**
 * JSON as Go's `encoding/json` writes it, where `<`, `>`, `&` and two line separators are escaped, so that
 * a value written here and the same value written there are the same bytes.
 *
 * @source https://pkg.go.dev/encoding/json#Marshal
 */
export function goJson(value: unknown, end: '' | '\n' = ''): Uint8Array {
  const escaped = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return encoder.encode(escaped + end);
}

// Go reads an absent or null field as its type's zero value; these do the same, and refuse other types.

export function stringField(object: JsonObject, name: string): string {
  return field(object, name, 'string', '');
}

export function numberField(object: JsonObject, name: string): number {
  return field(object, name, 'number', 0);
}

export function booleanField(object: JsonObject, name: string): boolean {
  return field(object, name, 'boolean', false);
}

/** An array, whose elements are read by `read`. */
export function arrayField<T>(
  object: JsonObject,
  name: string,
  read: (element: unknown, place: string) => T,
): readonly T[] {
  const value = object[name] ?? [];
  if (!Array.isArray(value)) throw mismatch(name, 'an array', value);
  return value.map((element, index) => read(element, `${name}.${index}`));
}

function objectField(object: JsonObject, name: string): JsonObject {
  return asObject(object[name] ?? {}, name);
}

export function stringMapField(object: JsonObject, name: string): Readonly<Record<string, string>> {
  const map = objectField(object, name);
  for (const [key, value] of Object.entries(map)) asString(value, `${name}.${key}`);
  return map as Readonly<Record<string, string>>;
}

export function asString(value: unknown, place: string): string {
  if (typeof value !== 'string') throw mismatch(place, 'a string', value);
  return value;
}

export function asObject(value: unknown, place: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(place, 'an object', value);
  return value as JsonObject;
}

function field<T>(object: JsonObject, name: string, type: 'string' | 'number' | 'boolean', zero: T): T {
  const value = object[name] ?? zero;
  // 1e999 reads as Infinity, which JSON cannot write back.
  if (typeof value !== type || value === Infinity || value === -Infinity) throw mismatch(name, `a ${type}`, value);
  return value as T;
}

function mismatch(place: string, wanted: string, got: unknown): TypeError {
  return new TypeError(`${place}: expected ${wanted}, got ${describe(got)}`);
}
