import { createServer } from 'node:net';

// Below the range from which Linux and macOS take ports for outgoing connections. From inside it, an outgoing
// connection could take a stopped server's port, and a client retrying a closed port of its own machine can
// even be given that very port and so connect to itself.
const firstPort = 10_000;
const lastPort = 32_000;

/** A TCP port on 127.0.0.1 that was free a moment ago: a caller asks again when it is taken meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort));
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
