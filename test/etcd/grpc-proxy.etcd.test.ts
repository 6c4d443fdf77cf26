import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { lease$, register$, watchEvents$, watchKey$, watchPrefixState$, type LeaseState } from '../../src/index.ts';
import { disposer, store, type Disposer, type Store } from '../discovery/support.ts';
import { record } from '../registration/support.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startGrpcProxy, type GrpcProxy } from '../support/grpc-proxy.ts';

// A proxy numbers the watches of a stream itself, from 0, and does not care which number was asked for.
let etcd: EtcdServer;
let proxy: GrpcProxy;
let at: Store;
let test$: Disposer;

beforeAll(async () => {
  etcd = await startEtcd();
  at = store(etcd.clientUrl);
  proxy = await startGrpcProxy(etcd.clientUrl);
  test$ = disposer();
});
afterEach(() => test$.dispose());
afterAll(async () => {
  await proxy.stop();
  await etcd.stop();
});

describe('discovery through etcd grpc-proxy', () => {
  test('events of one prefix do not appear in the snapshot of another', async () => {
    const client = test$.client(proxy.url);
    await at.put('/a/1', 'a');
    await at.put('/b/1', 'b');
    const names = ['/a/', '/b/', '/c/', '/d/'];
    const followed = names.map((name) => test$.follow(watchPrefixState$(client, name)));
    const [a, b, c] = followed as [(typeof followed)[0], (typeof followed)[0], (typeof followed)[0]];
    await Promise.all([a.holds({ '/a/1': 'a' }), b.holds({ '/b/1': 'b' }), c.holds({})]);
    await at.put('/b/2', 'b2');
    await at.put('/a/2', 'a2');
    await at.delete('/b/1');
    await a.holds({ '/a/1': 'a', '/a/2': 'a2' });
    await b.holds({ '/b/2': 'b2' });
    await c.holds({});
    for (const one of followed)
      expect(one.snapshots.every((all) => [...all.keys()].every((key) => key.startsWith('/')))).toBe(true);
    expect(a.snapshots.every((all) => [...all.keys()].every((key) => key.startsWith('/a/')))).toBe(true);
    expect(followed.flatMap(({ statuses }) => statuses)).not.toContain('stale');
  });

  test('a lone watch hears what happens', async () => {
    const client = test$.client(proxy.url);
    const lone = test$.follow(watchPrefixState$(client, '/lone/'));
    await lone.holds({});
    await at.put('/lone/1', '1');
    await lone.holds({ '/lone/1': '1' });
    await at.delete('/lone/1');
    await lone.holds({});
  });

  test('watches that come and go on one stream are each told their own', async () => {
    const client = test$.client(proxy.url);
    const kept = test$.follow(watchPrefixState$(client, '/kept/'));
    await kept.holds({});
    for (let round = 0; round < 30; round++) {
      // Gone before, while and after its create is answered.
      const passing = watchPrefixState$(client, `/passing/${round}/`).subscribe();
      if (round % 3 > 0) await at.put(`/kept/${round}`, 'x');
      passing.unsubscribe();
    }
    await at.put('/kept/last', 'x');
    await kept.holds((snapshot) => snapshot.size === 21 && snapshot.has('/kept/last'));
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
    const followed = test$.follow(watchPrefixState$(client, '/killed/'));
    await followed.holds({});
    await own.stop();
    await at.put('/killed/1', '1');
    await followed.holds({ '/killed/1': '1' }, 20_000);
  });
});

describe('registration through etcd grpc-proxy', () => {
  test('registrations of one client do not believe that they overwrite each other', async () => {
    const client = test$.client(proxy.url);
    const all = Array.from({ length: 10 }, (_, index) =>
      record(register$(client, `/reg/${index}`, `host-${index}`, { ttlSeconds: 5, onConflict: 'replace' })),
    );
    test$.add(() => {
      for (const { subscription } of all) subscription.unsubscribe();
    });
    await Promise.all(all.map((one) => one.reaches('registered')));
    expect(Object.keys(await at.range('/reg/'))).toHaveLength(10);
    const startedMs = performance.now();
    // Longer than the TTL: renewed through the proxy.
    await eventually(() => performance.now() - startedMs > 7000, { withinMs: 9000, what: 'more than a TTL' });
    for (const { statuses } of all) expect(statuses).not.toContain('lost');
    expect(Object.keys(await at.range('/reg/'))).toHaveLength(10);
    for (const { subscription } of all) subscription.unsubscribe();
    await eventually(async () => Object.keys(await at.range('/reg/')).length === 0, { withinMs: 5000, what: 'gone' });
  });

  test('a key deleted by somebody else is told and written again', async () => {
    const client = test$.client(proxy.url);
    const one = record(register$(client, '/deleted/1', 'host', { ttlSeconds: 5 }));
    test$.add(() => {
      one.subscription.unsubscribe();
    });
    const { revision } = await one.reaches('registered');
    await at.delete('/deleted/1');
    await one.reaches('registered', (state) => state.revision > revision);
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
  const sinceMs = performance.now();
  await eventually(() => performance.now() - sinceMs > 5000, { withinMs: 7000, what: 'more than a TTL' });
  expect(states.map(({ status }) => status)).toEqual(['granting', 'granted']);
  await test$.client(etcd.clientUrl).leaseClient.leaseRevoke({ ID: granted.leaseId });
  await eventually(() => states.at(-1)?.status === 'granted' && states.some(({ status }) => status === 'lost'), {
    withinMs: 8000,
    what: 'another lease',
  });
  expect(states.find((state) => state.status === 'lost')?.cause.code).toBe('lease-lost');
});
