import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { text } from '../../src/codecs/text.ts';

const anyCharacter = fc
  .oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((point) => String.fromCodePoint(point));

describe('text', () => {
  it('reads what it wrote, of any script', () => {
    fc.assert(
      fc.property(fc.array(anyCharacter), (characters) => {
        const value = characters.join('');
        expect(text().decode(text().encode(value, 'k'), 'k')).toBe(value);
      }),
    );
  });

  it('reads a part of a larger buffer', () => {
    expect(text().decode(Buffer.from('..小王..').subarray(2, 8), 'k')).toBe('小王');
  });

  it('never refuses bytes', () => {
    expect(text().decode(Uint8Array.of(0xff, 0x61), 'k')).toBe('\uFFFDa');
    expect(text().decode(new Uint8Array(), 'k')).toBe('');
  });
});
