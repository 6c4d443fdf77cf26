import { constants, type ServerHttp2Stream } from 'node:http2';
import { afterEach, expect, test } from 'vitest';
import { frameOf } from '../../../src/etcd/http2/frames.ts';
import type { ChannelOptions } from '../../../src/etcd/http2/channel.ts';
import { type RpcError } from '../../../src/etcd/rpc-error.ts';
import { eventually } from '../../support/eventually.ts';
import { answer, call, openTestChannel, startGrpcServer, type GrpcServer, type OpenedChannel } from './grpc-server.ts';

const undos: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of undos.splice(0).reverse()) await undo();
});

interface Given extends OpenedChannel {
  readonly server: GrpcServer;
}

async function given(
  handler: (stream: ServerHttp2Stream, path: string) => void,
  options: Partial<ChannelOptions> = {},
  settings: { readonly maxConcurrentStreams?: number } = {},
): Promise<Given> {
  const server = await startGrpcServer(handler, settings);
  undos.push(() => server.stop());
  const opened = openTestChannel(server.port, options);
  undos.push(() => {
    opened.channel.close();
  });
  return { ...opened, server };
}

const hello = frameOf(Buffer.from('hello'));

test('a unary call has one message there and one back', async () => {
  let seen: Record<string, unknown> = {};
  const asked: Buffer[] = [];
  const { channel } = await given((stream) => {
    seen = { ...stream.sentHeaders };
    stream.on('data', (chunk: Buffer) => asked.push(chunk));
    stream.on('end', () => {
      answer(stream, hello);
    });
  });
  expect(String(await call(channel, { message: Buffer.from('question') }))).toBe('hello');
  expect(Buffer.concat(asked)).toEqual(frameOf(Buffer.from('question')));
  expect(seen).toBeDefined();
});

test('a call carries what gRPC asks for, its metadata and its timeout', async () => {
  let headers: Record<string, unknown> = {};
  const server = await startGrpcServer((stream) => {
    answer(stream, hello);
  });
  undos.push(() => server.stop());
  const { channel } = openTestChannel(server.port);
  undos.push(() => {
    channel.close();
  });
  for (const session of server.sessions) session.on('stream', (_, sent) => (headers = { ...sent }));
  await eventually(() => server.sessions.size === 1);
  for (const session of server.sessions) session.on('stream', (_, sent) => (headers = { ...sent }));
  await new Promise<unknown>((resolve) => {
    channel.unary('/a/B', Buffer.alloc(0), { metadata: { token: 't' }, silenceMs: 5000, timeoutMs: 1500 }, resolve);
  });
  expect(headers).toMatchObject({
    ':method': 'POST',
    ':path': '/a/B',
    ':scheme': 'http',
    ':authority': 'test',
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': '1500m',
    token: 't',
  });
});

const grpc = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** A way to answer wrongly, and what it is taken for. */
const WRONG: readonly [name: string, (stream: ServerHttp2Stream) => void, Partial<RpcError>][] = [
  [
    'an error in the trailers',
    (s) => answer(s, Buffer.alloc(0), { 'grpc-status': '7', 'grpc-message': 'etcdserver: permission%20denied' }),
    { code: 7, details: 'etcdserver: permission denied', origin: 'etcd' },
  ],
  [
    'an error without anything else',
    (s) => s.respond({ ...grpc, 'grpc-status': '5', 'grpc-message': 'gone' }, { endStream: true }),
    { code: 5, details: 'gone', origin: 'etcd' },
  ],
  [
    'an error after a message',
    (s) => answer(s, hello, { 'grpc-status': '14', 'grpc-message': 'late' }),
    { code: 14, origin: 'etcd' },
  ],
  [
    'OK without a message',
    (s) => answer(s, Buffer.alloc(0)),
    { details: 'an answer without a message', origin: 'stream' },
  ],
  [
    'two messages',
    (s) => answer(s, Buffer.concat([hello, hello])),
    { details: 'more than one message in an answer', origin: 'stream' },
  ],
  [
    'a message cut off',
    (s) => answer(s, hello.subarray(0, 7)),
    { details: 'the answer ends within a message', origin: 'stream' },
  ],
  [
    'no status',
    (s) => {
      s.respond(grpc);
      s.end(hello);
    },
    { details: 'the answer ends without a gRPC status', origin: 'stream' },
  ],
  [
    'headers alone',
    (s) => s.respond(grpc, { endStream: true }),
    { details: 'the answer ends without a gRPC status', origin: 'stream' },
  ],
  ['a compressed message', (s) => answer(s, Buffer.concat([Buffer.of(1), hello.subarray(1)])), { origin: 'http' }],
  ...[400, 401, 403, 404, 429, 500, 502, 503, 504].map((status): (typeof WRONG)[number] => [
    `HTTP ${status}`,
    (s) => {
      s.respond({ ':status': status, 'content-type': 'text/html' });
      s.end('<p>not here</p>');
    },
    {
      code: 14,
      origin: 'http',
      details: `not etcd but something in front of it answered HTTP ${status} (text/html): <p>not here</p>`,
    },
  ]),
  [
    'HTTP 200 with another content type',
    (s) => {
      s.respond({ ':status': 200, 'content-type': 'text/html' });
      s.end('welcome');
    },
    {
      origin: 'http',
      details: 'not etcd but something in front of it answered HTTP 200 with content type "text/html": welcome',
    },
  ],
  [
    'HTTP 200 without a content type',
    (s) => {
      s.respond({ ':status': 200 });
      s.end(hello);
    },
    { origin: 'http' },
  ],
  [
    'HTTP 403 with a status of gRPC',
    (s) => s.respond({ ':status': 403, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true }),
    { code: 14, origin: 'http' },
  ],
  ...(['REFUSED_STREAM', 'INTERNAL_ERROR', 'CANCEL', 'ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR'] as const).map(
    (name): (typeof WRONG)[number] => [
      `a reset with ${name}`,
      (s) => {
        s.close(constants[`NGHTTP2_${name}`]);
      },
      { code: 14, origin: 'stream', details: `the stream was reset (${name})` },
    ],
  ),
  [
    'a reset within an answer',
    (s) => {
      s.respond(grpc);
      s.write(hello.subarray(0, 6), () => {
        s.close(constants.NGHTTP2_INTERNAL_ERROR);
      });
    },
    { code: 14, origin: 'stream' },
  ],
];

test.each(WRONG)('%s is an error that says so, and the next call is answered', async (_, wrong, expected) => {
  const { channel } = await given((stream, path) => {
    stream.resume();
    if (path === '/wrong') wrong(stream);
    else answer(stream, hello);
  });
  expect(await call(channel, { path: '/wrong' })).toMatchObject(expected);
  expect(String(await call(channel))).toBe('hello');
});

test('a GOAWAY with an error ends the connection with what it says', async () => {
  const { channel, failed } = await given((stream) => {
    stream.session!.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
  });
  const error = await call(channel);
  expect(error).toMatchObject({ origin: 'transport', code: 14, message: /GOAWAY ENHANCE_YOUR_CALM: too_many_pings/ });
  expect(await failed).toBe(error);
});

test('a GOAWAY without an error: what is under way goes on, and what comes later waits', async () => {
  let release: () => void = () => undefined;
  const { channel, drained, ready } = await given((stream, path) => {
    stream.resume();
    if (path === '/goaway') {
      release = () => {
        answer(stream, hello);
      };
      stream.session!.goaway(constants.NGHTTP2_NO_ERROR);
    } else answer(stream, hello);
  });
  await ready;
  const underWay = call(channel, { path: '/goaway' });
  await drained;
  let later: unknown;
  void call(channel).then((result) => (later = result));
  release();
  expect(String(await underWay)).toBe('hello');
  expect(later).not.toBeInstanceOf(Buffer);
});

test('a connection that is lost ends every call with why, and the channel after them', async () => {
  const { channel, server, failed } = await given((stream) => {
    stream.resume();
  });
  const calls = [call(channel), call(channel)];
  await eventually(() => server.sessions.size === 1);
  server.cut();
  for (const result of await Promise.all(calls)) expect(result).toMatchObject({ code: 14, origin: 'transport' });
  expect(await failed).toMatchObject({ origin: 'transport', reason: 'lost', message: /was lost/ });
});

test('an answer may take as long as bytes of it come; after silence the call fails', async () => {
  const { channel } = await given((stream, path) => {
    stream.resume();
    stream.respond(grpc, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': '0' });
    });
    if (path === '/silent') return;
    const bytes = frameOf(Buffer.alloc(20));
    let sent = 0;
    const timer = setInterval(() => {
      if (path === '/stops' && sent > 5) return;
      stream.write(bytes.subarray(sent, (sent += 1)));
      if (sent < bytes.length) return;
      clearInterval(timer);
      stream.end();
    }, 30);
    stream.on('close', () => {
      clearInterval(timer);
    });
  });
  const [slow, stopped, silent] = await Promise.all([
    call(channel, { path: '/slow', silenceMs: 400 }),
    call(channel, { path: '/stops', silenceMs: 400 }),
    call(channel, { path: '/silent', silenceMs: 400 }),
  ]);
  expect(slow).toHaveLength(20);
  expect(stopped).toMatchObject({ origin: 'deadline', code: 4, message: /no more of an answer/ });
  expect(silent).toMatchObject({ origin: 'deadline', code: 4, message: /no answer from 127.0.0.1:\d+ within 400 ms/ });
});

test('calls beyond what the server allows at once wait for their turn', async () => {
  let active = 0;
  let most = 0;
  const { channel, server } = await given(
    (stream) => {
      stream.resume();
      most = Math.max(most, (active += 1));
      setImmediate(() => {
        active -= 1;
        answer(stream, hello);
      });
    },
    {},
    { maxConcurrentStreams: 5 },
  );
  const results = await Promise.all(Array.from({ length: 200 }, () => call(channel)));
  expect(results.map(String)).toEqual(results.map(() => 'hello'));
  expect(most).toBeLessThanOrEqual(5);
  expect(server.accepted()).toBe(1);
});

test('a server that allows a single stream: further connections carry the others', async () => {
  const { channel, server } = await given(
    (stream, path) => {
      stream.resume();
      if (path !== '/stream') answer(stream, hello);
    },
    {},
    { maxConcurrentStreams: 1 },
  );
  const nothing = { onMessage: () => undefined, onEnd: () => undefined, onError: () => undefined };
  channel.duplex('/stream', {}, nothing);
  channel.duplex('/stream', {}, nothing);
  expect(String(await call(channel))).toBe('hello');
  expect(server.accepted()).toBeLessThanOrEqual(4);
});

test('a stream carries messages both ways, many written at once as few pieces', async () => {
  const pieces: number[] = [];
  const { channel } = await given((stream) => {
    stream.respond(grpc, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': '0' });
    });
    stream.on('data', (chunk: Buffer) => {
      pieces.push(chunk.length);
      stream.write(chunk);
    });
    stream.on('end', () => stream.end());
  });
  const seen: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const stream = channel.duplex(
      '/echo',
      {},
      {
        onMessage: (message) => {
          seen.push(String(message));
          if (seen.length === 100) stream.end();
        },
        onEnd: resolve,
        onError: reject,
      },
    );
    for (let index = 0; index < 100; index++) stream.write(Buffer.from(String(index)));
  });
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
  expect(pieces.length).toBeLessThan(10);
});

test('a stream that is cancelled tells nothing more, and is cancelled on the server', async () => {
  let code: number | undefined;
  const { channel } = await given((stream) => {
    stream.respond(grpc);
    stream.write(hello);
    stream.on('close', () => (code = stream.rstCode));
  });
  let messages = 0;
  const told: string[] = [];
  const stream = channel.duplex(
    '/stream',
    {},
    {
      onMessage: () => {
        messages += 1;
        stream.end();
        stream.cancel();
      },
      onEnd: () => told.push('end'),
      onError: () => told.push('error'),
    },
  );
  await eventually(() => code !== undefined);
  expect(code).toBe(constants.NGHTTP2_CANCEL);
  expect(messages).toBe(1);
  expect(told).toEqual([]);
});

test('cancelled before the connection is there, a call is never made', async () => {
  const paths: string[] = [];
  const { channel } = await given((stream, path) => {
    paths.push(path);
    stream.resume();
    answer(stream, hello);
  });
  channel
    .duplex('/cancelled', {}, { onMessage: () => undefined, onEnd: () => undefined, onError: () => undefined })
    .cancel();
  channel.unary('/cancelled', Buffer.alloc(0), { metadata: {}, silenceMs: 1000 }, () => undefined).cancel();
  await call(channel);
  expect(paths).toEqual(['/test/Call']);
});

test('a stream that is paused holds the server back; resumed, it loses nothing', async () => {
  const TOTAL = 40_000_000;
  const chunk = frameOf(Buffer.alloc(100_000));
  let written = 0;
  const { channel } = await given((stream) => {
    stream.respond(grpc);
    const write = (): void => {
      while (written < TOTAL) {
        written += chunk.length;
        if (!stream.write(chunk)) {
          stream.once('drain', write);
          return;
        }
      }
    };
    write();
  });
  let received = 0;
  const stream = channel.duplex(
    '/flood',
    {},
    {
      onMessage: (message) => {
        received += message.length;
        if (received === 100_000) stream.pause();
      },
      onEnd: () => undefined,
      onError: () => undefined,
    },
  );
  await eventually(() => received >= 100_000);
  // Until nothing more is written in a while: the server waits for the window.
  let before = -1;
  await eventually(
    () => {
      const isStill = before === written;
      before = written;
      return isStill;
    },
    { everyMs: 200, withinMs: 10_000 },
  );
  expect(written).toBeLessThan(TOTAL / 2);
  stream.resume();
  await eventually(() => received >= TOTAL, { withinMs: 20_000 });
});

test('a request larger than the user allows is refused, alone', async () => {
  const { channel } = await given(
    (stream) => {
      stream.resume();
      answer(stream, hello);
    },
    { maxSendBytes: 10 },
  );
  expect(await call(channel, { message: Buffer.alloc(11) })).toMatchObject({
    code: 8,
    message: /larger than max \(10/,
  });
  expect(String(await call(channel))).toBe('hello');
});

test('closed, it tells nothing, and a call made then is an error', async () => {
  const { channel, ready, server } = await given((stream) => {
    stream.resume();
  });
  await ready;
  let told = 0;
  channel.unary('/x', Buffer.alloc(0), { metadata: {}, silenceMs: 1000 }, () => (told += 1));
  channel.close();
  expect(await call(channel)).toMatchObject({ origin: 'transport', message: 'the connection is closed' });
  await eventually(() => server.sessions.size === 0);
  expect(told).toBe(0);
});
