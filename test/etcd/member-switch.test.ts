import { constants } from 'node:http2';
import { afterEach, expect, test } from 'vitest';
import { resolveClient } from '../../src/etcd/connection.ts';
import type { ConnectionState } from '../../src/etcd/member.ts';
import { eventually } from '../support/eventually.ts';
import { startGrpcServer, type GrpcServer } from './http2/grpc-server.ts';

const undos: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of undos.splice(0).reverse()) await undo();
});

async function server(): Promise<GrpcServer> {
  const started = await startGrpcServer((stream) => {
    stream.resume();
  });
  undos.push(() => started.stop());
  return started;
}

function followed(...hosts: string[]): ConnectionState[] {
  const states: ConnectionState[] = [];
  const subscription = resolveClient({ hosts }).connection.member$.subscribe((state) => {
    states.push(state);
  });
  undos.push(() => {
    subscription.unsubscribe();
  });
  return states;
}

test('a member that wants no more calls (GOAWAY) is left for a new connection, without a moment without one', async () => {
  const { port, sessions, accepted } = await server();
  const states = followed(`http://127.0.0.1:${port}`);
  await eventually(() => states.length === 1);
  for (const session of sessions) session.goaway(constants.NGHTTP2_NO_ERROR);
  await eventually(() => states.length === 2, { withinMs: 10_000 });
  expect(states.map(({ status }) => status)).toEqual(['up', 'up']);
  expect(accepted()).toBe(2);
});

test('a member that is lost is told with why, and the next one is connected to', async () => {
  const first = await server();
  const states = followed(`http://127.0.0.1:${first.port}`);
  await eventually(() => states.length === 1);
  first.cut();
  await eventually(() => states.length === 3, { withinMs: 10_000 });
  expect(states.map(({ status }) => status)).toEqual(['up', 'down', 'up']);
  expect(states[1]).toMatchObject({ attempt: 1, cause: { kind: 'connection', message: /was lost/ } });
});

test('of several members one that refuses is passed over', async () => {
  const { port } = await server();
  const states = followed('http://127.0.0.1:1', `http://127.0.0.1:${port}`);
  await eventually(() => states.some(({ status }) => status === 'up'), { withinMs: 10_000 });
});
