import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { register$, watchPrefixState$ } from '../../src/index.ts';
import { etcdBinary } from '../support/etcd-binary.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { Stage, holds, pass, registered } from './support.ts';

// Signed tokens that live for two seconds: with each renewal etcd looks whether the token is still valid, and whether
// the user may write every key of the lease. Before these versions it looked at nothing, and refused nothing.
const directory = mkdtempSync(join(tmpdir(), 'rx-etcd-test-jwt-'));
const end = new Stage();
let server: EtcdServer;
let root: Etcd3;

beforeAll(async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const [pub, priv] = [join(directory, 'public.pem'), join(directory, 'private.pem')];
  writeFileSync(pub, publicKey);
  writeFileSync(priv, privateKey);
  const tokens = `--auth-token=jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=2s`;
  server = await startEtcd({ extraArgs: [tokens, '--bcrypt-cost=4'] });
  const open = new Etcd3({ hosts: server.clientUrl });
  await open.role('root').create();
  await open.user('root').create('root');
  await open.user('root').addRole('root');
  await open.user('provider').create('secret');
  for (const name of ['first', 'second']) {
    await open.role(name).create();
    await open.role(name).grant({ permission: 'Readwrite', range: open.range({ prefix: `/${name}/` }) });
    await open.user('provider').addRole(name);
  }
  await open.auth.authEnable();
  open.close();
  root = new Etcd3({ hosts: server.clientUrl, auth: { username: 'root', password: 'root' } });
});
afterEach(() => end.dispose());
afterAll(async () => {
  root.close();
  await server.stop();
  rmSync(directory, { recursive: true });
});

/** Whether this etcd checks renewals: from 3.4.42, 3.5.28 and 3.6.9 on. */
function checksRenewals(): boolean {
  const { stdout } = spawnSync(etcdBinary().path, ['--version'], { encoding: 'utf8' });
  const [, minor = 0, patch = 0] = (/(\d+)\.(\d+)\.(\d+)/.exec(stdout) ?? []).slice(1).map(Number);
  const since: Record<number, number> = { 4: 42, 5: 28, 6: 9 };
  return minor > 6 || patch >= (since[minor] ?? Infinity);
}

function stage() {
  const client = end.client(server.clientUrl, { auth: { username: 'provider', password: 'secret' } });
  const register = (key: string) => end.record(register$(client, key, 'host', { ttlSeconds: 3 }));
  return { client, register, watched: end.record(watchPrefixState$(client, '/first/')) };
}

test('tokens that expire cost a new token and a new keepalive stream, and no lease and no stale snapshot', async () => {
  const { register, watched } = stage();
  const [first, second] = [register('/first/a'), register('/first/b')];
  await holds(watched, { '/first/a': 'host', '/first/b': 'host' });
  await pass(9000);
  expect(watched.statuses).toEqual(['pending', 'live']);
  for (const { statuses, error } of [first, second]) {
    expect(error).toBeUndefined();
    expect([...new Set(statuses)]).toEqual(['registering', 'registered']);
  }
});

test('a role taken away ends the registration that needed it alone', async () => {
  const { register, watched } = stage();
  const [kept, lost] = [register('/first/kept'), register('/second/lost')];
  await Promise.all([registered(kept), registered(lost)]);
  await holds(watched, { '/first/kept': 'host' });
  await root.user('provider').removeRole('second');
  await pass(5000);
  if (checksRenewals()) expect(lost.error).toMatchObject({ code: 'permission-denied' });
  expect(kept.error).toBeUndefined();
  expect(kept.last?.status).toBe('registered');
  expect(watched.error).toBeUndefined();
  expect(watched.last?.status).toBe('live');
  await root.user('provider').addRole('second');
});

test('a foreign key under one of the leases ends that registration alone', async () => {
  const { register, watched } = stage();
  const [kept, other] = [register('/first/kept'), register('/second/other')];
  const [{ leaseId }] = await Promise.all([registered(other), registered(kept)]);
  // A token of root's from before the change is refused once.
  await eventually(() =>
    root.kv.put({ key: Buffer.from('/foreign'), value: Buffer.from('x'), lease: leaseId }).then(() => true),
  );
  await pass(5000);
  if (checksRenewals()) expect(other.error).toMatchObject({ code: 'permission-denied' });
  expect(kept.error).toBeUndefined();
  expect(kept.last?.status).toBe('registered');
  expect(watched.statuses).toEqual(['pending', 'live']);
});
