import type { IncomingHttpHeaders } from 'node:http2';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { httpError, httpProblem, percentDecoded, statusOf } from '../../../src/etcd/http2/status.ts';

test('percent-coded text comes back, and what is none stays as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const coded = [...Buffer.from(text)]
        .map((byte) =>
          byte < 0x20 || byte > 0x7e || byte === 0x25
            ? `%${byte.toString(16).padStart(2, '0')}`
            : String.fromCharCode(byte),
        )
        .join('');
      expect(percentDecoded(coded)).toBe(text);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => typeof percentDecoded(text) === 'string'));
  expect(percentDecoded('100%')).toBe('100%');
  expect(percentDecoded('%4')).toBe('%4');
  expect(percentDecoded('%zz%C3%A9')).toBe('%zzé');
});

test('a status has its code and text, and says that it comes from etcd', () => {
  expect(statusOf({ 'grpc-status': '0' })).toBe('ok');
  expect(statusOf({})).toBeUndefined();
  expect(statusOf({ 'grpc-status': '7', 'grpc-message': 'etcdserver: permission denied' })).toMatchObject({
    code: 7,
    details: 'etcdserver: permission denied',
    origin: 'etcd',
  });
  expect(statusOf({ 'grpc-status': '14' })).toMatchObject({ code: 14, details: 'status 14 without a message' });
});

test('a status that is no number of gRPC is an unknown error', () => {
  for (const status of ['', '17', '99', '-1', '1.5', 'x', '00000000000', '999999999999999999999']) {
    expect(statusOf({ 'grpc-status': status })).toMatchObject({ code: 2 });
  }
});

// Node has the status as a number, and types it as text.
const problem = (headers: object): string | undefined => httpProblem(headers as IncomingHttpHeaders);

test('an answer of a front says what it was', () => {
  expect(problem({ ':status': 200, 'content-type': 'application/grpc' })).toBeUndefined();
  expect(problem({ ':status': 200, 'content-type': 'application/grpc+proto' })).toBeUndefined();
  expect(problem({ ':status': 200, 'grpc-status': '14' })).toBeUndefined();
  expect(problem({ ':status': 404, 'content-type': 'text/html' })).toBe('HTTP 404 (text/html)');
  expect(problem({ ':status': 200, 'content-type': 'text/html' })).toBe('HTTP 200 with content type "text/html"');
  expect(problem({})).toBe('HTTP NaN');
  const error = httpError('HTTP 404 (text/html)', Buffer.from('<h1>\n  not   here</h1>'));
  expect(error).toMatchObject({ origin: 'http', code: 14, details: /front of it answered HTTP 404.*<h1> not here/ });
});
