import { createServer as createHttpServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type ConnectionOptions } from 'node:tls';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { frameOf } from '../../../src/etcd/http2/frames.ts';
import { proxyFor } from '../../../src/etcd/http2/http-proxy.ts';
import { certificate, type CertificateFile } from '../../support/certificates.ts';
import { answer, call, openTestChannel, startGrpcServer, type OpenedChannel } from './grpc-server.ts';

const undos: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of undos.splice(0).reverse()) await undo();
});

async function listening(server: Server, at: object = { port: 0, host: '127.0.0.1' }): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(at, resolve));
  undos.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

function opened(...args: Parameters<typeof openTestChannel>): OpenedChannel {
  const channel = openTestChannel(...args);
  undos.push(() => {
    channel.channel.close();
  });
  return channel;
}

/** A gRPC server over TLS, that answers every call. */
async function secureServer(file: CertificateFile, options: object = {}): Promise<number> {
  const server = createSecureServer({ cert: certificate(file), key: certificate('server.key'), ...options });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream) => {
    stream.resume();
    answer(stream, frameOf(Buffer.from('hello')));
  });
  return listening(server);
}

const trusted: ConnectionOptions = { ca: certificate('ca.crt') };

test('over TLS a call is answered, to a name and to an address', async () => {
  const port = await secureServer('server.crt');
  expect(String(await call(opened(`localhost:${port}`, { tls: trusted }).channel))).toBe('hello');
  expect(String(await call(opened(`127.0.0.1:${port}`, { tls: trusted }).channel))).toBe('hello');
});

test('a client certificate is shown', async () => {
  const port = await secureServer('server.crt', {
    ca: certificate('ca.crt'),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const tls = { ...trusted, cert: certificate('client.crt'), key: certificate('client.key') };
  expect(String(await call(opened(port, { tls }).channel))).toBe('hello');
});

test('a name that overrides the target is what the certificate is held against', async () => {
  const port = await secureServer('elsewhere.crt');
  const tls = { ...trusted, servername: 'etcd.elsewhere.test' };
  expect(String(await call(opened(port, { tls }).channel))).toBe('hello');
});

test.each<[CertificateFile, string, RegExp, Partial<ConnectionOptions>]>([
  ['other-server.crt', 'certificate-untrusted', /signed by no CA that is trusted here/, {}],
  ['expired.crt', 'certificate-expired', /certificate has expired/, {}],
  ['elsewhere.crt', 'certificate-name', /for another name.*etcd\.elsewhere\.test/, {}],
])('a server with %s: %s', async (file, reason, message, more) => {
  const { failed } = opened(await secureServer(file), { tls: { ...trusted, ...more } });
  expect(await failed).toMatchObject({ origin: 'tls', reason, message });
  expect((await failed).cause).toMatchObject({ code: expect.any(String) as string });
});

test('a server that wants a client certificate, and gets none, is told', async () => {
  const port = await secureServer('server.crt', {
    ca: certificate('ca.crt'),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const { failed } = opened(port, { tls: trusted });
  expect((await failed).message).toMatch(/^cannot connect to 127.0.0.1:\d+: /);
});

test('https:// to a server without TLS, and http:// to one with it', async () => {
  const plain = await startGrpcServer(() => undefined);
  undos.push(() => plain.stop());
  expect(await opened(plain.port, { tls: trusted }).failed).toMatchObject({ origin: 'tls', message: /http:\/\// });
  const port = await secureServer('server.crt');
  expect(await opened(port).failed).toMatchObject({ reason: 'no-http2', message: /may want https:\/\// });
});

test('a server over TLS that speaks no HTTP/2', async () => {
  const server = createTlsServer({
    cert: certificate('server.crt'),
    key: certificate('server.key'),
    ALPNProtocols: ['http/1.1'],
  });
  expect((await opened(await listening(server), { tls: trusted }).failed).origin).toBe('tls');
});

test('a web server, and a server that ends each connection', async () => {
  const web = createHttpServer((_, response) => response.end('welcome'));
  expect(await opened(await listening(web)).failed).toMatchObject({ origin: 'transport', reason: 'no-http2' });
  const ends = createServer((socket) => socket.end());
  expect(await opened(await listening(ends)).failed).toMatchObject({ reason: 'no-http2' });
});

test('nobody listens, an unknown name, and a socket that is not there', async () => {
  const port = await listening(createServer());
  await undos.pop()!();
  expect(await opened(port).failed).toMatchObject({
    origin: 'transport',
    reason: 'refused',
    message: /is etcd running/,
  });
  expect(await opened('no-such-host.invalid:2379').failed).toMatchObject({ origin: 'dns', reason: 'unknown-name' });
  expect(await opened('unix:///no/such/socket').failed).toMatchObject({ origin: 'transport', reason: 'refused' });
});

test('a server that never answers SETTINGS is given up within the bound of a connection', async () => {
  const port = await listening(createServer((socket) => socket.resume()));
  const { failed } = opened(port, { connectTimeoutMs: 300 });
  expect(await failed).toMatchObject({
    origin: 'deadline',
    reason: 'timeout',
    message: /no HTTP\/2 SETTINGS came within 300/,
  });
});

test('a TLS handshake that does not end is given up within the bound of a connection', async () => {
  const port = await listening(createServer((socket) => socket.resume()));
  const { failed } = opened(port, { connectTimeoutMs: 300, tls: trusted });
  expect(await failed).toMatchObject({ origin: 'deadline', message: /the TLS handshake did not end within 300 ms/ });
});

test('a socket of the file system', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rx-etcd-test-'));
  undos.push(() => {
    rmSync(directory, { recursive: true });
  });
  const server = await startGrpcServer((stream) => {
    stream.resume();
    answer(stream, frameOf(Buffer.from('hello')));
  });
  undos.push(() => server.stop());
  const path = join(directory, 'etcd.sock');
  await listening(
    createServer((socket) => {
      const to = connect(server.port, '127.0.0.1');
      to.on('error', () => socket.destroy());
      socket.on('close', () => to.destroy());
      socket.pipe(to).pipe(socket);
    }),
    { path },
  );
  expect(String(await call(opened(`unix://${path}`).channel))).toBe('hello');
});

test('through an HTTP proxy, with its credentials; refused, with what it answered', async () => {
  const server = await startGrpcServer((stream) => {
    stream.resume();
    answer(stream, frameOf(Buffer.from('hello')));
  });
  undos.push(() => server.stop());
  const asked: string[] = [];
  const proxy = createHttpServer();
  proxy.on('connect', (request, socket: Socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
    if (request.headers['proxy-authorization'] === undefined) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const to = connect(server.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(to).pipe(socket);
    });
    to.on('error', () => socket.destroy());
    socket.on('close', () => to.destroy());
    to.on('close', () => socket.destroy());
  });
  const port = await listening(proxy);
  const through = (auth: string | undefined) => ({ proxy: { host: '127.0.0.1', port, auth } });
  expect(String(await call(opened('etcd.internal:2379', through('me:secret')).channel))).toBe('hello');
  expect(asked[0]).toBe(`etcd.internal:2379 Basic ${Buffer.from('me:secret').toString('base64')}`);
  expect((await opened('etcd.internal:2379', through(undefined)).failed).message).toMatch(/proxy .* answered 407/);
});

test.each([
  ['etcd.internal', { https_proxy: 'http://proxy:3128' }, 'proxy:3128'],
  ['etcd.internal', { HTTPS_PROXY: 'proxy:3128' }, 'proxy:3128'],
  ['etcd.internal', { grpc_proxy: 'http://a:1', https_proxy: 'http://b:2' }, 'a:1'],
  ['etcd.internal', { http_proxy: 'http://proxy' }, 'proxy:80'],
  ['etcd.internal', {}, undefined],
  ['etcd.internal', { https_proxy: 'http://proxy:1', no_proxy: 'internal' }, undefined],
  ['etcd.internal', { https_proxy: 'http://proxy:1', no_proxy: 'x, .internal' }, undefined],
  ['etcd.internal', { https_proxy: 'http://proxy:1', no_proxy: 'ternal' }, 'proxy:1'],
  ['127.0.0.1', { https_proxy: 'http://proxy:1', NO_PROXY: '127.0.0.1,localhost' }, undefined],
  ['127.0.0.1', { https_proxy: 'http://proxy:1', no_proxy: '*' }, undefined],
  ['a', { https_proxy: 'socks5://proxy:1' }, undefined],
  ['a', { https_proxy: '::' }, undefined],
])('the proxy for %s with %o is %s', (host, environment, expected) => {
  const proxy = proxyFor(host, environment);
  expect(proxy && `${proxy.host}:${proxy.port}`).toBe(expected);
});

test('closed while it connects, and after, it leaves no socket', async () => {
  const port = await secureServer('server.crt');
  const silent = await listening(createServer((socket) => socket.resume()));
  const open = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  await expect.poll(open, { timeout: 5000 }).toBe(0);
  for (let round = 0; round < 100; round++) {
    const all = [
      openTestChannel(port, { tls: trusted }),
      openTestChannel(silent),
      openTestChannel(silent, { tls: trusted }),
    ];
    if (round % 3 === 0) await all[0]!.ready;
    else if (round % 3 === 1) await new Promise(setImmediate);
    for (const { channel } of all) channel.close();
  }
  await expect.poll(open, { timeout: 5000 }).toBe(0);
});
