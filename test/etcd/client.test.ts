import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import { expect, test } from 'vitest';
import { register$, watchPrefix$, watchPrefixState$, type PrefixState } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { frame, message } from '../support/wire-writer.ts';

test('a client whose calls are mocked is refused, instead of writing to a real etcd', () => {
  const client = new Etcd3({ hosts: 'http://127.0.0.1:1' });
  const before$ = watchPrefix$(client, '/x/');
  client.mock({ exec: () => Promise.resolve({}), withConnection: () => Promise.resolve() } as never);
  const refused = expect.objectContaining({ code: 'unsupported-client' }) as Error;
  expect(() => watchPrefix$(client, '/x/')).toThrow(refused);
  expect(() => register$(client.namespace('n/'), '/x', 'y')).toThrow(refused);
  const errors: unknown[] = [];
  before$.subscribe({ error: (error: unknown) => errors.push(error) });
  expect(errors).toEqual([refused]);
  client.unmock();
  expect(() => watchPrefix$(client, '/x/')).not.toThrow();
  client.close();
});

/** Gives these tokens, one after another, and keeps the headers of every other call, which it does not answer. */
async function tokenServer(tokens: readonly string[]) {
  const calls: IncomingHttpHeaders[] = [];
  let asked = 0;
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    if (headers[':path'] !== '/etcdserverpb.Auth/Authenticate') {
      calls.push(headers);
      return;
    }
    const token = tokens[Math.min(asked, tokens.length - 1)] as string;
    asked += 1;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': '0' });
    });
    stream.end(frame(message([2, Buffer.from(token)])));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, calls, asked: () => asked, server };
}

test('a token that no header can carry is asked for again, and stands in no state', async () => {
  const bad = 'secret\u0001token\n';
  const { url, calls, asked, server } = await tokenServer([bad, 'bad token', '', 'good.1']);
  const client = new Etcd3({ hosts: url, auth: { username: 'user', password: 'password' } });
  const states: PrefixState<string>[] = [];
  const subscription = watchPrefixState$(client, '/x/').subscribe((state) => states.push(state));
  await eventually(() => calls.length > 0, { withinMs: 20_000, what: 'a call with a token' });
  expect(calls[0]?.['token']).toBe('good.1');
  expect(asked()).toBe(4);
  const causes = states.flatMap((state) => (state.status === 'live' || state.cause === undefined ? [] : [state.cause]));
  expect(causes.map(({ code }) => code)).toEqual(['invalid-answer', 'invalid-answer', 'invalid-answer']);
  expect(reachable(causes)).not.toContain('secret');
  subscription.unsubscribe();
  client.close();
  server.close();
});

/** Every text that can be reached from an object. */
function reachable(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (seen.has(value)) return '';
  seen.add(value);
  return Reflect.ownKeys(value)
    .map((key) => reachable((value as Record<PropertyKey, unknown>)[key], seen))
    .join('\n');
}
