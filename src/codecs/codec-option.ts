import { invalidArgument } from '../errors.ts';
import type { Codec } from './codec.ts';
import { TEXT } from './text.ts';

/**
 * The codec that a user gave, `text()` when none was. Throws `invalid-argument` for what lacks a function that is needed:
 * who only reads may give a codec that cannot write.
 */
export function codecOption<T>(codec: Codec<T> | undefined, ...needed: readonly ('encode' | 'decode')[]): Codec<T> {
  // Without a codec T is string: the signatures of all public functions say so.
  if (codec === undefined) return TEXT as Codec<unknown> as Codec<T>;
  const given = (codec as Partial<Codec<T>> | null) ?? {};
  if (needed.some((name) => typeof given[name] !== 'function')) {
    const functions = needed.map((name) => `${name}()`).join(' and ');
    throw invalidArgument('options.codec', `a codec with ${functions}`, codec);
  }
  return codec;
}
