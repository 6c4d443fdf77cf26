import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { shareReplay } from 'rxjs';
import { watchPrefix$, watchPrefixState$, type Snapshot } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer } from './support.ts';

let server: EtcdServer;
let etcd: Gateway;
const end = disposer();

beforeAll(async () => {
  server = await startEtcd();
  etcd = gateway(server.clientUrl);
});
afterEach(() => end.dispose());
afterAll(() => server.stop());

async function watchers(): Promise<number> {
  return (await server.metrics())('etcd_debugging_mvcc_watcher_total');
}

test('cold: each subscription lists and watches for itself', async () => {
  await etcd.put('cold/a');
  const hosts$ = watchPrefixState$(end.client(server.clientUrl), 'cold/');
  await new Promise((resolve) => setImmediate(resolve));
  expect(await watchers()).toBe(0);
  const [first, second] = [end.follow(hosts$), end.follow(hosts$)];
  await first.holds({ 'cold/a': '1' });
  await second.holds({ 'cold/a': '1' });
  await eventually(async () => (await watchers()) === 2);
  first.unsubscribe();
  await etcd.put('cold/b');
  await second.holds({ 'cold/a': '1', 'cold/b': '1' });
});

test('shared by reference count: one watcher for all, the latest snapshot for late ones, then freed', async () => {
  await etcd.put('shared/a');
  const hosts$ = watchPrefix$(end.client(server.clientUrl), 'shared/').pipe(
    shareReplay({ bufferSize: 1, refCount: true }),
  );
  const seen: [Snapshot<string>[], Snapshot<string>[]] = [[], []];
  const early = hosts$.subscribe((hosts) => seen[0].push(hosts));
  await eventually(() => seen[0].length === 1);
  await etcd.put('shared/b');
  await eventually(() => seen[0].length === 2);
  const late = hosts$.subscribe((hosts) => seen[1].push(hosts));
  expect(seen[1]).toEqual([seen[0][1]]);
  await eventually(async () => (await watchers()) === 1);
  early.unsubscribe();
  await etcd.put('shared/c');
  await eventually(() => seen[1].length === 2);
  expect(await watchers()).toBe(1);
  late.unsubscribe();
  await eventually(async () => (await watchers()) === 0);
  // The next subscriber begins with a list: the changes between are in its first snapshot.
  await etcd.put('shared/d');
  const again: Snapshot<string>[] = [];
  const third = hosts$.subscribe((hosts) => again.push(hosts));
  await eventually(() => again.length === 1);
  expect([...(again[0]?.keys() ?? [])]).toEqual(['shared/a', 'shared/b', 'shared/c', 'shared/d']);
  third.unsubscribe();
});

test('the first snapshot of an empty prefix comes, and is empty', async () => {
  const seen: Snapshot<string>[] = [];
  const subscription = watchPrefix$(end.client(server.clientUrl), 'empty/').subscribe((hosts) => seen.push(hosts));
  await eventually(() => seen.length === 1);
  expect(seen[0]?.size).toBe(0);
  expect(seen[0]?.revision).toBe(await etcd.revision());
  subscription.unsubscribe();
});
