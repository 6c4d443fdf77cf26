import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader, frameOf } from '../../../src/etcd/http2/frames.ts';
import { RpcError } from '../../../src/etcd/rpc-error.ts';

function read(chunks: readonly Buffer[], maxBytes = -1): { messages: Buffer[]; reader: FrameReader; error?: unknown } {
  const reader = new FrameReader(maxBytes);
  const messages: Buffer[] = [];
  try {
    for (const chunk of chunks) reader.push(chunk, (message) => messages.push(message));
  } catch (error) {
    return { messages, reader, error };
  }
  return { messages, reader };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

test('messages come out as they went in, wherever the pieces begin and end', () => {
  const message = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 40 }), (messages, places) => {
      const { messages: seen, reader, error } = read(cut(Buffer.concat(messages.map(frameOf)), places));
      expect(error).toBeUndefined();
      expect(seen.map((each) => [...each])).toEqual(messages.map((each) => [...each]));
      expect(reader.isPending).toBe(false);
    }),
  );
});

test('one byte at a time, and a large message in many pieces, cost one copy', () => {
  const large = Buffer.alloc(2_000_000, 7);
  const bytes = frameOf(large);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, at) =>
    bytes.subarray(at * 1000, (at + 1) * 1000),
  );
  const { messages } = read(pieces);
  expect(messages).toHaveLength(1);
  expect(messages[0]!.equals(large)).toBe(true);
  const small = frameOf(Buffer.from('hello'));
  expect(read([...small].map((byte) => Buffer.of(byte))).messages.map(String)).toEqual(['hello']);
});

test('a message that is cut off is known to be', () => {
  const bytes = frameOf(Buffer.from('hello'));
  for (let length = 1; length < bytes.length; length++) {
    const { messages, reader } = read([bytes.subarray(0, length)]);
    expect(messages).toEqual([]);
    expect(reader.isPending).toBe(true);
  }
});

test('a compressed message, and bytes that are no message, are refused with what stands between', () => {
  const compressed = frameOf(Buffer.from('x'));
  compressed[0] = 1;
  expect(read([compressed]).error).toMatchObject({ origin: 'http', message: /compressed/ });
  expect(read([Buffer.from('HTTP/1.1 400 Bad Request')]).error).toMatchObject({ origin: 'http', message: /byte 72/ });
});

test('a message larger than allowed is refused by its length, before it has come', () => {
  const bytes = frameOf(Buffer.alloc(11));
  expect(read([bytes.subarray(0, 5)], 10).error).toMatchObject({
    code: 8,
    message: /11 bytes is larger than max \(10/,
  });
  expect(read([bytes], 11).messages).toHaveLength(1);
  expect(read([Buffer.of(0, 255, 255, 255, 255)]).error).toBeInstanceOf(RpcError);
});

test('whatever the bytes are, it reads messages or throws one of our errors', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (chunks) => {
      const { error } = read(chunks.map((chunk) => Buffer.from(chunk)));
      if (error !== undefined) expect(error).toBeInstanceOf(RpcError);
    }),
  );
});
