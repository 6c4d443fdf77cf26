import { Etcd3 } from 'etcd3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { lease$, register$, watchEvents$, watchKey$, watchPrefixState$, type LeaseState } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startGrpcProxy, type GrpcProxy } from '../support/grpc-proxy.ts';
import { Stage, holds, pass, registered } from './support.ts';

// A proxy numbers the watches of a stream itself, from 0, and does not care which number was asked for.
let etcd: EtcdServer;
let proxy: GrpcProxy;
let direct: Etcd3;
const test$ = new Stage();

/** Past the proxy. */
const at = {
  put: (key: string, value: string) => direct.put(key).value(value),
  delete: (key: string) => direct.delete().key(key),
  range: (prefix: string) => direct.getAll().prefix(prefix).strings(),
};

beforeAll(async () => {
  etcd = await startEtcd();
  direct = new Etcd3({ hosts: etcd.clientUrl });
  proxy = await startGrpcProxy(etcd.clientUrl);
});
afterEach(() => test$.dispose());
afterAll(async () => {
  direct.close();
  await proxy.stop();
  await etcd.stop();
});

describe('discovery through etcd grpc-proxy', () => {
  test('events of one prefix do not appear in the snapshot of another', async () => {
    const client = test$.client(proxy.url);
    await at.put('/a/1', 'a');
    await at.put('/b/1', 'b');
    const names = ['/a/', '/b/', '/c/', '/d/'];
    const followed = names.map((name) => test$.record(watchPrefixState$(client, name)));
    const [a, b, c] = followed as [(typeof followed)[0], (typeof followed)[0], (typeof followed)[0]];
    await Promise.all([holds(a, { '/a/1': 'a' }), holds(b, { '/b/1': 'b' }), holds(c, {})]);
    await at.put('/b/2', 'b2');
    await at.put('/a/2', 'a2');
    await at.delete('/b/1');
    await holds(a, { '/a/1': 'a', '/a/2': 'a2' });
    await holds(b, { '/b/2': 'b2' });
    await holds(c, {});
    for (const [index, { states }] of followed.entries()) {
      const keys = states.flatMap((state) => (state.status === 'pending' ? [] : [...state.snapshot.keys()]));
      expect(keys.filter((key) => !key.startsWith(names[index] as string))).toEqual([]);
    }
    expect(followed.flatMap(({ statuses }) => statuses)).not.toContain('stale');
  });

  test('a lone watch hears what happens', async () => {
    const client = test$.client(proxy.url);
    const lone = test$.record(watchPrefixState$(client, '/lone/'));
    await holds(lone, {});
    await at.put('/lone/1', '1');
    await holds(lone, { '/lone/1': '1' });
    await at.delete('/lone/1');
    await holds(lone, {});
  });

  test('watches that come and go on one stream are each told their own', async () => {
    const client = test$.client(proxy.url);
    const kept = test$.record(watchPrefixState$(client, '/kept/'));
    await holds(kept, {});
    for (let round = 0; round < 30; round++) {
      // Gone before, while and after its create is answered.
      const passing = watchPrefixState$(client, `/passing/${round}/`).subscribe();
      if (round % 3 > 0) await at.put(`/kept/${round}`, 'x');
      passing.unsubscribe();
    }
    await at.put('/kept/last', 'x');
    await holds(kept, (snapshot) => snapshot.size === 21 && snapshot.has('/kept/last'));
    expect(kept.statuses).toEqual(['pending', 'live']);
  });

  test('a key, and the history with what was before', async () => {
    const client = test$.client(proxy.url);
    const values: unknown[] = [];
    const steps: string[] = [];
    const key = watchKey$(client, '/key').subscribe((value) => values.push(value));
    const history = watchEvents$(client, '/history/').subscribe((step) => {
      if (step.type === 'events') steps.push(...step.events.map(({ type, key: name }) => `${type} ${name}`));
    });
    test$.add(() => {
      key.unsubscribe();
      history.unsubscribe();
    });
    await eventually(() => values.length > 0, { withinMs: 5000, what: 'the key' });
    await at.put('/key', 'v');
    await eventually(() => values.at(-1) === 'v', { withinMs: 5000, what: 'the value' });
    await eventually(
      async () => {
        await at.put('/history/1', 'x');
        return steps.length > 0;
      },
      { withinMs: 10_000, what: 'events' },
    );
    await at.delete('/history/1');
    await eventually(() => steps.includes('delete /history/1'), { withinMs: 5000, what: 'the deletion' });
  });

  test('the proxy is killed and another one started: stale, then live again, and nothing is lost', async () => {
    const own = await startGrpcProxy(etcd.clientUrl);
    test$.add(() => own.stop());
    const client = test$.client([own.url, proxy.url]);
    const followed = test$.record(watchPrefixState$(client, '/killed/'));
    await holds(followed, {});
    await own.stop();
    await at.put('/killed/1', '1');
    await holds(followed, { '/killed/1': '1' });
  });
});

describe('registration through etcd grpc-proxy', () => {
  test('registrations of one client do not believe that they overwrite each other', async () => {
    const client = test$.client(proxy.url);
    const all = Array.from({ length: 10 }, (_, index) =>
      test$.record(register$(client, `/reg/${index}`, `host-${index}`, { ttlSeconds: 5, onConflict: 'replace' })),
    );
    await Promise.all(all.map((one) => registered(one)));
    expect(Object.keys(await at.range('/reg/'))).toHaveLength(10);
    // Longer than the TTL: renewed through the proxy.
    await pass(7000);
    for (const { statuses } of all) expect(statuses).not.toContain('lost');
    expect(Object.keys(await at.range('/reg/'))).toHaveLength(10);
    for (const one of all) one.unsubscribe();
    await eventually(async () => Object.keys(await at.range('/reg/')).length === 0, { withinMs: 5000, what: 'gone' });
  });

  test('a key deleted by somebody else is told and written again', async () => {
    const client = test$.client(proxy.url);
    const one = test$.record(register$(client, '/deleted/1', 'host', { ttlSeconds: 5 }));
    const { revision } = await registered(one);
    await at.delete('/deleted/1');
    await registered(one, revision);
    expect(one.statuses).toContain('lost');
    expect(await at.range('/deleted/')).toEqual({ '/deleted/1': 'host' });
  });
});

test('a lease through etcd grpc-proxy outlives its TTL, and is told when it is revoked', async () => {
  const client = test$.client(proxy.url);
  const states: LeaseState[] = [];
  const subscription = lease$(client, { ttlSeconds: 3 }).subscribe((state) => states.push(state));
  test$.add(() => {
    subscription.unsubscribe();
  });
  const granted = await eventually(() => states.find((state) => state.status === 'granted'), {
    withinMs: 5000,
    what: 'a lease',
  });
  await pass(5000);
  expect(states.map(({ status }) => status)).toEqual(['granting', 'granted']);
  await test$.client(etcd.clientUrl).leaseClient.leaseRevoke({ ID: granted.leaseId });
  await eventually(() => states.at(-1)?.status === 'granted' && states.some(({ status }) => status === 'lost'), {
    withinMs: 8000,
    what: 'another lease',
  });
  expect(states.find((state) => state.status === 'lost')?.cause.code).toBe('lease-lost');
});
