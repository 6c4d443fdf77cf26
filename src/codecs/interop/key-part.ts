import { invalidArgument } from '../../errors.ts';

/** A piece of a key that a user gave: some text, or a thrown `invalid-argument` that names it. */
export function keyPart(argument: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalidArgument(argument, 'a string that is not empty', value);
  return value;
}

/** The same, for a piece that is one segment of a path. */
export function keySegment(argument: string, value: unknown): string {
  const part = keyPart(argument, value);
  if (part.includes('/')) throw invalidArgument(argument, 'a string without "/"', value);
  return part;
}
