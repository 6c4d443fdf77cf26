import { describe, expect, it } from 'vitest';
import { json } from '../../src/codecs/json.ts';
import type { StandardResult, StandardSchema } from '../../src/codecs/standard-schema.ts';

interface Host {
  readonly address: string;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('json', () => {
  it('reads and writes what JSON can hold', () => {
    const codec = json<Host>();
    expect(codec.decode(bytes('{"address":"10.0.0.7:80"}'), 'k')).toEqual({ address: '10.0.0.7:80' });
    expect(Buffer.from(codec.encode({ address: '小王' }, 'k')).toString()).toBe('{"address":"小王"}');
  });

  it('throws for what is no JSON, no UTF-8, or cannot be written', () => {
    const codec = json();
    expect(() => codec.decode(bytes('10.0.0.7:80'), 'k')).toThrow(SyntaxError);
    expect(() => codec.decode(new Uint8Array(), 'k')).toThrow(SyntaxError);
    expect(() => codec.decode(Uint8Array.of(0x22, 0xff, 0x22), 'k')).toThrow(TypeError);
    expect(() => codec.encode(undefined, 'k')).toThrow('JSON cannot write undefined');
  });

  it("gives a schema's output", () => {
    const codec = json(schemaOf((value) => ({ value: (value as Host).address })));
    const host: string | undefined = codec.decode(bytes('{"address":"10.0.0.7:80"}'), 'k');
    expect(host).toBe('10.0.0.7:80');
  });

  it('names what a schema has against a value, with its place', () => {
    const codec = json(
      schemaOf(() => ({
        issues: [{ message: 'too short' }, { message: 'not a port', path: ['hosts', { key: 0 }, 'port'] }],
      })),
    );
    expect(() => codec.decode(bytes('{}'), 'k')).toThrow('too short; hosts.0.port: not a port');
  });

  it('takes an output of undefined for "no instance"', () => {
    expect(json(schemaOf<unknown>(() => ({ value: undefined }))).decode(bytes('{}'), 'k')).toBeUndefined();
  });

  it('refuses a schema that answers asynchronously, and leaves no unhandled rejection', () => {
    const codec = json(schemaOf(() => Promise.reject(new Error('later'))));
    expect(() => codec.decode(bytes('{}'), 'k')).toThrow('asynchronously');
  });

  it('takes a schema that is a function, and refuses what is no schema at the call', () => {
    const callable = Object.assign(
      () => undefined,
      schemaOf(() => ({ value: 1 })),
    );
    expect(json(callable).decode(bytes('{}'), 'k')).toBe(1);
    expect(() => json({} as StandardSchema)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => json(null as unknown as StandardSchema)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});

function schemaOf<T>(validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>): StandardSchema<T> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}
