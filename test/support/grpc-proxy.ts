import { spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { etcdBinary } from './etcd-binary.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

/** An `etcd grpc-proxy` in front of a server: what stands between an etcd and its clients in some clusters. */
export interface GrpcProxy {
  readonly url: string;
  stop(): Promise<void>;
}

/** @source https://etcd.io/docs/v3.5/op-guide/grpc_proxy/ */
export async function startGrpcProxy(endpoint: string): Promise<GrpcProxy> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const endpoints = endpoint.replace(/^https?:\/\//, '');
  // Without an advertised address a 3.5 proxy ends after 5 s.
  const args = ['grpc-proxy', 'start', '--endpoints', endpoints, '--listen-addr', address, '--advertise-client-url'];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ETCD_')));
  const child = spawn(etcdBinary().path, [...args, address], { stdio: 'ignore', env });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  try {
    await eventually(() => accepts(port), { withinMs: 20_000, what: 'the grpc-proxy listens' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `http://${address}`, stop };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    const end = (accepted: boolean) => () => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
  });
}
