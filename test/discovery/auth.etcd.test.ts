import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Etcd3 } from 'etcd3';
import { firstValueFrom, map, filter } from 'rxjs';
import { resolveClient } from '../../src/etcd/connection.ts';
import type { EtcdFault } from '../../src/etcd/faults.ts';
import { prefixEnd } from '../../src/etcd/keys.ts';
import type { KeyRange, Member } from '../../src/etcd/member.ts';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { disposer } from './support.ts';

const TOKEN_TTL_MS = 1000;
const directory = mkdtempSync(join(tmpdir(), 'rx-etcd-test-jwt-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Tokens of etcd's default kind, that live for a second after their last use. */
function simpleTokens(): string[] {
  return ['--auth-token=simple', '--auth-token-ttl=1'];
}

/** Signed tokens, that live for a second whatever happens. */
function signedTokens(): string[] {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const [pub, priv] = [join(directory, 'public.pem'), join(directory, 'private.pem')];
  writeFileSync(pub, publicKey);
  writeFileSync(priv, privateKey);
  return [`--auth-token=jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=1s`];
}

async function tokenExpires(): Promise<void> {
  // A clock outside this process decides: nothing here can be asked for it. Simple tokens are looked at every second.
  await new Promise((resolve) => setTimeout(resolve, 2 * TOKEN_TTL_MS + 300));
}

describe.each([
  ['simple', simpleTokens],
  ['signed', signedTokens],
])('authentication with %s tokens', (_, tokenArgs) => {
  let server: EtcdServer;
  let root: Etcd3;
  let proxy: TcpProxy;
  const end = disposer();

  beforeAll(async () => {
    server = await startEtcd({ extraArgs: [...tokenArgs(), '--bcrypt-cost=4'] });
    proxy = await startProxy(server.clientPort);
    const open = new Etcd3({ hosts: server.clientUrl });
    await open.role('root').create();
    await open.user('root').create('root');
    await open.user('root').addRole('root');
    await open.role('reader').create();
    await open.role('reader').grant({ permission: 'Read', range: open.range({ prefix: 'allowed/' }) });
    await open.user('reader').create('secret');
    await open.user('reader').addRole('reader');
    await open.auth.authEnable();
    open.close();
    root = new Etcd3({ hosts: server.clientUrl, auth: { username: 'root', password: 'root' } });
  });
  afterEach(() => end.dispose());
  afterAll(async () => {
    root.close();
    await proxy.stop();
    await server.stop();
  });

  const reader = (password = 'secret'): Etcd3 => end.client(proxy.url, { auth: { username: 'reader', password } });

  /** As root, who never keeps a token for long. */
  async function put(key: string, value = '1'): Promise<void> {
    await eventually(() =>
      root
        .put(key)
        .value(value)
        .then(() => true),
    );
  }

  const memberOf = (client: Etcd3): Promise<Member> =>
    firstValueFrom(
      resolveClient(client).connection.member$.pipe(
        filter((state) => state.status === 'up'),
        map((state) => state.member),
      ),
    );

  test('a prefix that one may not read is an error of that subscription alone', async () => {
    const client = reader();
    const allowed = end.follow(watchPrefixState$(client, 'allowed/a/'));
    await allowed.holds({});
    const error = await end.follow(watchPrefixState$(client, 'secret/')).failed();
    expect(error.code).toBe('permission-denied');
    await put('allowed/a/1');
    await allowed.holds({ 'allowed/a/1': '1' });
    expect(allowed.statuses).toEqual(['pending', 'live']);
  });

  test('a watch refused on the shared stream fails alone, and the others of the stream go on', async () => {
    const client = reader();
    const first = end.follow(watchPrefixState$(client, 'allowed/b/'));
    await first.holds({});
    const member = await memberOf(client);
    const range = (prefix: string): KeyRange => ({
      key: Buffer.from(prefix),
      rangeEnd: prefixEnd(Buffer.from(prefix)),
      namespaceBytes: 0,
    });
    const faults: EtcdFault[] = [];
    const events: string[] = [];
    // Denied ones between others, none waiting for another's answer.
    const watch = (prefix: string): void => {
      const subscription = member.watch$({ range: range(prefix), startRevision: 1 }).subscribe({
        next: (message) => {
          if (message.type === 'events') events.push(...message.events.map(({ key }) => key));
        },
        error: (fault: unknown) => faults.push(fault as EtcdFault),
      });
      end.add(() => {
        subscription.unsubscribe();
      });
    };
    for (const prefix of ['secret/a', 'allowed/b/1', 'secret/b', 'allowed/b/2', 'secret/c']) watch(prefix);
    await eventually(() => faults.length === 3);
    expect(faults.map(({ kind }) => kind)).toEqual(['permission-denied', 'permission-denied', 'permission-denied']);
    const second = end.follow(watchPrefixState$(client, 'allowed/b/'));
    await put('allowed/b/1');
    await put('allowed/b/2');
    await eventually(() => events.length === 2);
    await first.holds({ 'allowed/b/1': '1', 'allowed/b/2': '1' });
    await second.holds({ 'allowed/b/1': '1', 'allowed/b/2': '1' });
    expect(first.statuses).toEqual(['pending', 'live']);
  });

  test('a permission taken away surfaces at the next reconnect', async () => {
    await root.role('reader').grant({ permission: 'Read', range: root.range({ prefix: 'brief/' }) });
    const client = reader();
    const brief = end.follow(watchPrefixState$(client, 'brief/'));
    const allowed = end.follow(watchPrefixState$(client, 'allowed/c/'));
    await brief.holds({});
    await allowed.holds({});
    await root.role('reader').revoke({ permission: 'Read', range: root.range({ prefix: 'brief/' }) });
    proxy.cut();
    expect((await brief.failed()).code).toBe('permission-denied');
    await put('allowed/c/1');
    await allowed.holds({ 'allowed/c/1': '1' });
  });

  test('wrong credentials, and none where some are needed, are errors that say so', async () => {
    const wrong = await end.follow(watchPrefixState$(reader('wrong'), 'allowed/')).failed();
    expect(wrong.code).toBe('unauthenticated');
    expect(wrong.message).toContain('password');
    const none = await end.follow(watchPrefixState$(end.client(server.clientUrl), 'allowed/')).failed();
    expect(none.code).toBe('unauthenticated');
    expect(none.message).toContain('auth');
  });

  test('an expired token does not disturb a live watch, and is renewed when the connection is made again', async () => {
    const followed = end.follow(watchPrefixState$(reader(), 'allowed/d/'));
    await followed.holds({});
    await tokenExpires();
    await put('allowed/d/1');
    await followed.holds({ 'allowed/d/1': '1' });
    expect(followed.statuses).toEqual(['pending', 'live']);
    proxy.cut();
    await put('allowed/d/2');
    await followed.holds({ 'allowed/d/1': '1', 'allowed/d/2': '1' });
    expect(followed.resyncs).toEqual([]);
  });

  test('a new list and a new watch, on a live stream whose token expired, just work', async () => {
    const client = reader();
    const first = end.follow(watchPrefixState$(client, 'allowed/e/'));
    await first.holds({});
    await tokenExpires();
    const second = end.follow(watchPrefixState$(client, 'allowed/e/'));
    await second.holds({});
    await put('allowed/e/1');
    await first.holds({ 'allowed/e/1': '1' });
    await second.holds({ 'allowed/e/1': '1' });
    expect(second.error).toBeUndefined();
  });

  test('a hundred new watches on a live stream whose token expired: none is taken for denied', async () => {
    const client = reader();
    const first = end.follow(watchPrefixState$(client, 'allowed/f/'));
    await first.holds({});
    await tokenExpires();
    const all = Array.from({ length: 100 }, () => end.follow(watchPrefixState$(client, 'allowed/f/')));
    await put('allowed/f/1');
    for (const followed of [first, ...all]) await followed.holds({ 'allowed/f/1': '1' });
  });

  test('a changed password surfaces when the token can no longer be renewed', async () => {
    const open = await eventually(() =>
      root
        .user('changing')
        .create('before')
        .then(() => true),
    );
    expect(open).toBe(true);
    await root.user('changing').addRole('reader');
    const client = end.client(proxy.url, { auth: { username: 'changing', password: 'before' } });
    const followed = end.follow(watchPrefixState$(client, 'allowed/g/'));
    await followed.holds({});
    await root.auth.userChangePassword({ name: 'changing', password: 'after' });
    proxy.cut();
    expect((await followed.failed()).code).toBe('unauthenticated');
  });

  test('a server restarted forgets its tokens: nobody notices', async () => {
    const followed = end.follow(watchPrefixState$(reader(), 'allowed/h/'));
    await followed.holds({});
    await server.restart();
    await put('allowed/h/1');
    await followed.holds({ 'allowed/h/1': '1' });
    expect(followed.resyncs).toEqual([]);
  });
});
