import type { Codec } from '../codecs/codec.ts';
import { Snapshot } from '../discovery/snapshot.ts';

/** A snapshot as text, and when it was known to be true. */
export interface StoredSnapshot<T> {
  readonly snapshot: Snapshot<T>;
  readonly savedAtMs: number;
}

const VERSION = 1;
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** JSON to read and to edit: values that are text stay text, others are in base64. */
export function writeStored<T>({ snapshot, savedAtMs }: StoredSnapshot<T>, codec: Codec<T>): string {
  const entries = [...snapshot].map(([key, value]) => {
    const bytes = codec.encode(value, key);
    const text = textOf(bytes);
    return text === undefined ? { key, base64: Buffer.from(bytes).toString('base64') } : { key, text };
  });
  return `${JSON.stringify({ version: VERSION, savedAtMs, revision: snapshot.revision, entries }, undefined, 1)}\n`;
}

/** Throws for what {@link writeStored} did not write. A value that the codec refuses is left out. */
export function readStored<T>(stored: string, codec: Codec<T>): StoredSnapshot<T> {
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
    savedAtMs,
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
