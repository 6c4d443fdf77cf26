import { Etcd3 } from 'etcd3';
import { Subject, firstValueFrom, switchMap, timer } from 'rxjs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { watchPrefix$, watchPrefixState$, type PrefixState, type RxEtcdError } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';

let etcd: EtcdServer;
const undos: (() => unknown)[] = [];

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.stop());
afterEach(async () => {
  for (const undo of undos.splice(0).reverse()) await undo();
});

function clientOf(hosts: string | string[] = etcd.clientUrl): Etcd3 {
  const client = new Etcd3({ hosts });
  undos.push(() => {
    client.close();
  });
  return client;
}

function outcome(client: Etcd3, prefix = '/x/') {
  const seen: { states: PrefixState<string>[]; error: RxEtcdError | undefined } = { states: [], error: undefined };
  const subscription = watchPrefixState$(client, prefix).subscribe({
    next: (state) => seen.states.push(state),
    error: (error: RxEtcdError) => {
      seen.error = error;
    },
  });
  undos.push(() => {
    subscription.unsubscribe();
  });
  return seen;
}

test.each([0, 1, 3, 10, 30, 100])(
  'a client closed %i ms after subscribing ends it with an error, and the next one too',
  async (afterMs) => {
    const client = clientOf();
    const seen = outcome(client);
    await firstValueFrom(timer(afterMs));
    client.close();
    await eventually(() => seen.error?.code === 'client-closed', { withinMs: 3000, what: 'the error' });
    const again = outcome(client);
    await eventually(() => again.error?.code === 'client-closed', { withinMs: 3000, what: 'the second error' });
  },
);

test('a client closed while no member answers ends it with an error', async () => {
  const client = clientOf(['http://127.0.0.1:1', 'http://192.0.2.1:2379']);
  const seen = outcome(client);
  await firstValueFrom(timer(200));
  client.close();
  await eventually(() => seen.error?.code === 'client-closed', { withinMs: 4000, what: 'the error' });
});

test('a client closed after the last subscriber left is closed for the next one', async () => {
  const client = clientOf();
  await firstValueFrom(watchPrefix$(client, '/x/'));
  client.close();
  const seen = outcome(client);
  await eventually(() => seen.error?.code === 'client-closed', { withinMs: 3000, what: 'the error' });
});

test('switchMap from one prefix to another tells the truth of each, over one connection', async () => {
  const client = clientOf();
  for (const name of ['a', 'b', 'c']) await client.put(`/switch/${name}/1`).value(name);
  const prefix$ = new Subject<string>();
  const seen: string[] = [];
  const subscription = prefix$.pipe(switchMap((prefix) => watchPrefix$(client, prefix))).subscribe((hosts) => {
    seen.push([...hosts].map(([key, value]) => `${key}=${value}`).join());
    // In the middle of its own notification.
    if (seen.length === 2) prefix$.next('/switch/c/');
  });
  prefix$.next('/switch/a/');
  await eventually(() => seen.length === 1, { withinMs: 3000, what: 'a' });
  prefix$.next('/switch/b/');
  await eventually(() => seen.length === 3, { withinMs: 3000, what: 'c' });
  await client.put('/switch/a/2').value('late');
  await client.put('/switch/c/2').value('now');
  await eventually(() => seen.length === 4, { withinMs: 3000, what: 'the change' });
  expect(seen).toEqual(['/switch/a/1=a', '/switch/b/1=b', '/switch/c/1=c', '/switch/c/1=c,/switch/c/2=now']);
  expect((await etcd.metrics())('etcd_debugging_mvcc_watcher_total')).toBe(1);
  subscription.unsubscribe();
  await eventually(async () => (await etcd.metrics())('etcd_debugging_mvcc_watcher_total') === 0, {
    withinMs: 3000,
    what: 'no watcher',
  });
});

test('unsubscribing at any moment of the start leaves no watcher', async () => {
  const client = clientOf();
  for (let afterMs = 0; afterMs < 40; afterMs++) {
    const subscription = watchPrefix$(client, '/x/').subscribe();
    const other = watchPrefix$(client, '/y/').subscribe();
    await firstValueFrom(timer(afterMs / 4));
    subscription.unsubscribe();
    if (afterMs % 2 === 0) other.unsubscribe();
    else
      undos.push(() => {
        other.unsubscribe();
      });
  }
  await eventually(async () => (await etcd.metrics())('etcd_debugging_mvcc_watcher_total') === 20, {
    withinMs: 3000,
    what: '20 watchers',
  });
});

test('the whole store, and a prefix of the highest bytes, are watched by their bytes', async () => {
  const client = clientOf();
  const key = Buffer.from([0xff, 0xff, 0x61]);
  const all: number[] = [];
  const high: string[][] = [];
  const a = watchPrefix$(client, '').subscribe((hosts) => all.push(hosts.size));
  const b = watchPrefix$(client, '\uDCFF\uDCFF').subscribe((hosts) => high.push([...hosts.keys()]));
  await eventually(() => all.length === 1 && high.length === 1, { withinMs: 3000, what: 'the lists' });
  await client.put(key).value('1');
  await eventually(() => all.length === 2 && high.length === 2, { withinMs: 3000, what: 'the change' });
  expect(high).toEqual([[], ['\uDCFF\uDCFFa']]);
  expect(all[1]).toBe((all[0] as number) + 1);
  a.unsubscribe();
  b.unsubscribe();
});

test('namespaces of one client share its stream, and see their keys alone', async () => {
  const client = clientOf();
  const names = ['one/', 'two/', 'one/two/', '小/'];
  const seen = new Map<string, string[]>();
  for (const name of names) {
    const subscription = watchPrefix$(client.namespace(name), '').subscribe((hosts) =>
      seen.set(name, [...hosts.keys()]),
    );
    undos.push(() => {
      subscription.unsubscribe();
    });
  }
  await eventually(() => seen.size === 4, { withinMs: 3000, what: 'the lists' });
  for (const name of names) await client.namespace(name).put('k').value(name);
  await eventually(() => [...seen.values()].every(({ length }) => length > 0) && seen.get('one/')?.length === 2, {
    withinMs: 3000,
    what: 'the keys',
  });
  expect(Object.fromEntries(seen)).toEqual({ 'one/': ['k', 'two/k'], 'two/': ['k'], 'one/two/': ['k'], '小/': ['k'] });
});
