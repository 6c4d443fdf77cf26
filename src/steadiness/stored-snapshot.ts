import type { Codec } from '../codecs/codec.ts';
import { Snapshot } from '../discovery/snapshot.ts';
import { quoted, reasonOf } from '../errors.ts';

/** A snapshot as text, and when it was known to be true. */
export interface StoredSnapshot<T> {
  readonly snapshot: Snapshot<T>;
  readonly savedAtMs: number;
}

const VERSION = 1;
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * JSON to read and to edit: values that are text stay text, others are in base64. A value that the codec cannot write is
 * left out: `unwritable` tells how many there are, and the first with its reason.
 */
export function writeStored<T>(
  { snapshot, savedAtMs }: StoredSnapshot<T>,
  codec: Codec<T>,
): { readonly text: string; readonly unwritable: Error | undefined } {
  const entries: object[] = [];
  let first: { readonly key: string; readonly cause: unknown } | undefined;
  for (const [key, value] of snapshot) {
    try {
      const bytes = codec.encode(value, key);
      const text = textOf(bytes);
      entries.push(text === undefined ? { key, base64: Buffer.from(bytes).toString('base64') } : { key, text });
    } catch (cause) {
      first ??= { key, cause };
    }
  }
  const { revision, size } = snapshot;
  return {
    text: `${JSON.stringify({ version: VERSION, savedAtMs, revision, entries }, undefined, 1)}\n`,
    unwritable: first && unwritableError(size - entries.length, first),
  };
}

function unwritableError(count: number, { key, cause }: { readonly key: string; readonly cause: unknown }): Error {
  const what =
    count === 1 ? `a value that the codec cannot write` : `${count} values that the codec cannot write, first`;
  return new Error(`${what}: ${quoted(key)}: ${reasonOf(cause)}`, { cause });
}

/**
 * Throws for what {@link writeStored} did not write. A value that the codec refuses is left out; what was saved in the
 * future (the clock was set back) was saved now.
 */
export function readStored<T>(stored: string, codec: Codec<T>, nowMs: number): StoredSnapshot<T> {
  const parsed = JSON.parse(stored) as Partial<Readonly<Record<string, unknown>>> | null;
  const { version, savedAtMs, revision, entries } = parsed ?? {};
  if (version !== VERSION || typeof savedAtMs !== 'number' || typeof revision !== 'number' || !Array.isArray(entries)) {
    throw new TypeError(`expected a stored snapshot of version ${VERSION}`);
  }
  return {
    snapshot: Snapshot.of(
      entries.flatMap((entry) => readEntry(entry, codec)),
      revision,
    ),
    savedAtMs: Math.min(savedAtMs, nowMs),
  };
}

function readEntry<T>(entry: unknown, codec: Codec<T>): [string, T][] {
  const { key, text, base64 } = (entry ?? {}) as Readonly<Record<string, unknown>>;
  const bytes =
    typeof text === 'string'
      ? Buffer.from(text)
      : typeof base64 === 'string'
        ? Buffer.from(base64, 'base64')
        : undefined;
  if (typeof key !== 'string' || bytes === undefined) throw new TypeError('expected an entry with a key and a value');
  try {
    const value = codec.decode(bytes, key);
    return value === undefined ? [] : [[key, value]];
  } catch {
    return [];
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
