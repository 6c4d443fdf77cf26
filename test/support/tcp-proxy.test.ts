import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

let server: Server;
let proxy: TcpProxy;
let atServer: Socket[];

beforeEach(async () => {
  atServer = [];
  server = createServer((socket) => {
    atServer.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(chunk));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startProxy((server.address() as AddressInfo).port);
});

afterEach(async () => {
  await proxy.stop();
  for (const socket of atServer) socket.destroy();
  server.close();
});

/** A client that remembers what it got and how it ended. */
async function client(): Promise<{
  readonly socket: Socket;
  readonly got: () => string;
  readonly error: () => string;
}> {
  const socket = connect(proxy.port, '127.0.0.1');
  let got = '';
  let failure = '';
  socket.on('data', (chunk) => (got += chunk.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code ?? 'unknown'));
  await once(socket, 'connect');
  return { socket, got: () => got, error: () => failure };
}

test('it passes bytes on both ways, and the end of each direction for itself', async () => {
  const { socket, got } = await client();
  const big = 'x'.repeat(3_000_000);
  socket.end(big);
  await once(socket, 'end');
  expect(got().length).toBe(big.length);
  await eventually(() => proxy.connections === 0);
  expect(proxy.accepted).toBe(1);
});

test('cut resets both sides and takes new connections', async () => {
  const { socket, got, error } = await client();
  socket.write('a');
  await eventually(() => got() === 'a');
  const serverClosed = new Promise((resolve) => atServer[0]?.once('close', resolve));
  proxy.cut();
  await eventually(() => error() === 'ECONNRESET');
  expect(await serverClosed).toBe(true);
  const next = await client();
  next.socket.end('b');
  await eventually(() => next.got() === 'b');
});

test('refuse refuses until accept, on the same port', async () => {
  await proxy.refuse();
  await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await proxy.accept();
  const { socket, got } = await client();
  socket.end('a');
  await eventually(() => got() === 'a');
});

test('a blackhole keeps the connection and holds everything back until heal', async () => {
  const { socket, got } = await client();
  socket.write('a');
  await eventually(() => got() === 'a');
  proxy.blackhole();
  socket.write('b');
  atServer[0]?.write('c');
  const next = await client();
  next.socket.write('d');
  await new Promise((resolve) => setImmediate(resolve));
  expect(got()).toBe('a');
  expect(proxy.connections).toBe(2);
  proxy.heal();
  await eventually(() => got() === 'acb' || got() === 'abc');
  await eventually(() => next.got() === 'd');
  socket.destroy();
  next.socket.destroy();
});

test('a blackhole of one direction lets the other through', async () => {
  const { socket, got } = await client();
  let atServerText = '';
  await eventually(() => atServer[0]);
  atServer[0]?.on('data', (chunk) => (atServerText += chunk.toString()));
  proxy.blackhole('server');
  socket.write('a');
  await eventually(() => atServerText === 'a');
  expect(got()).toBe('');
  proxy.heal();
  await eventually(() => got() === 'a');
  socket.destroy();
});

test('a byte budget passes on exactly that much, then cuts', async () => {
  const { socket, got } = await client();
  const spent = proxy.cutAfterBytes(5);
  socket.write('abc');
  await eventually(() => got() === 'abc');
  socket.write('defgh');
  await spent;
  await eventually(() => socket.closed);
  expect(proxy.bytesFromServer).toBe(5);
  expect('abcde'.startsWith(got())).toBe(true);
});

test('a delay keeps the order', async () => {
  proxy.setDelay(20);
  const { socket, got } = await client();
  socket.write('a');
  socket.write('b');
  proxy.setDelay(0);
  socket.end('c');
  await eventually(() => got().length === 3);
  expect(got()).toBe('abc');
});
