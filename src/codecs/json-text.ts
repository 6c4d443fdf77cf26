const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes as the JSON they hold. Throws for what is no UTF-8 or no JSON. */
export function parseJson(bytes: Uint8Array): unknown {
  return JSON.parse(strictDecoder.decode(bytes));
}

/** A value as JSON in UTF-8. Throws for what JSON cannot write, `undefined` for one. */
export function stringifyJson(value: unknown): Uint8Array {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`JSON cannot write ${typeof value}`);
  return encoder.encode(text);
}
