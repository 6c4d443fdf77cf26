import { Etcd3 } from 'etcd3';
import { firstValueFrom } from 'rxjs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { register$, watchPrefix$, type Snapshot } from 'rx-etcd';
import { GrpcError, MemoryEtcd } from 'rx-etcd/testing';

const A = Buffer.from('/a');

let etcd: MemoryEtcd;

beforeEach(async () => {
  etcd = await MemoryEtcd.start();
});

afterEach(async () => {
  await etcd.stop();
});

test('etcd3 reads and writes what the test holds in its hand', async () => {
  etcd.store.put('/a', '1');
  const client = etcd.client();
  await client.put('/b').value('2');
  expect(await client.getAll().prefix('/').strings()).toEqual({ '/a': '1', '/b': '2' });
  expect([...etcd.store.entries()].map(([key, { value }]) => [key, value])).toEqual([
    ['/a', '1'],
    ['/b', '2'],
  ]);
  expect(etcd.store.revision).toBe(3);
});

test("etcd3's own watcher and lease work on it", async () => {
  const client = etcd.client();
  const lease = client.lease(5);
  const watcher = await client.watch().prefix('/').create();
  const put = new Promise<string>((resolve) => {
    watcher.on('put', ({ key, value }) => {
      resolve(`${key.toString()}=${value.toString()}`);
    });
  });
  await lease.put('/a').value('1');
  expect(await put).toBe('/a=1');
  expect(etcd.store.leases.map(({ ttlSeconds, keys }) => ({ ttlSeconds, keys }))).toEqual([
    { ttlSeconds: 5, keys: ['/a'] },
  ]);
  await lease.revoke();
  expect(etcd.store.get('/a')).toBeUndefined();
});

test('a registration is there while subscribed, and a watch follows it', async () => {
  const client = etcd.client();
  let snapshot: Snapshot<string> | undefined;
  const watching = watchPrefix$(client, '/s/').subscribe((next) => (snapshot = next));
  const registration = register$(client, '/s/a', 'host').subscribe();
  await etcd.until(() => snapshot?.get('/s/a') === 'host');
  registration.unsubscribe();
  await etcd.until(() => snapshot?.size === 0);
  expect(etcd.store.leases).toEqual([]);
  watching.unsubscribe();
  await etcd.until(() => etcd.store.watchers.length === 0);
});

test('a transaction is one revision, and a revision before it can still be read', async () => {
  etcd.store.put('/a', '1');
  const before = etcd.store.revision;
  etcd.store.transaction((transaction) => {
    transaction.delete('/a');
    transaction.put('/b', '2');
    transaction.put('/c', '3');
  });
  expect(etcd.store.revision).toBe(before + 1);
  expect([...etcd.store.entries('/', before).keys()]).toEqual(['/a']);
  const { kvs } = await etcd
    .client()
    .kv.range({ key: Buffer.from('/'), range_end: Buffer.from('0'), revision: String(before) });
  expect(kvs.map(({ key }) => key.toString())).toEqual(['/a']);
});

test('an answer can be altered, dropped, doubled, made of any bytes or turned into an error', async () => {
  // A client of its own each: etcd3's circuit breaker opens after a few failures.
  const undo = etcd.answer('Range', (answer, request) => ({
    ...answer,
    kvs: [{ key: request.key, value: Buffer.from('a lie'), modRevision: 7 }],
  }));
  const { kvs } = await etcd.client().kv.range({ key: A });
  expect(kvs.map(({ key, value, mod_revision }) => [key.toString(), value.toString(), mod_revision])).toEqual([
    ['/a', 'a lie', '7'],
  ]);
  undo();
  expect((await etcd.client().kv.range({ key: A })).kvs).toEqual([]);

  const undoBytes = etcd.answer('Range', () => Buffer.from([0xff, 0xff]));
  await expect(etcd.client().kv.range({ key: A })).rejects.toThrow();
  undoBytes();
  const undoError = etcd.answer('Range', () => {
    throw new GrpcError('FAILED_PRECONDITION', 'not today: 100 %');
  });
  await expect(etcd.client().kv.range({ key: A })).rejects.toThrow('not today: 100 %');
  undoError();

  etcd.answer('Put', () => undefined);
  await expect(
    etcd.client().kv.put({ key: A, value: Buffer.from('1') }, { deadline: Date.now() + 100 }),
  ).rejects.toThrow();
  expect(etcd.store.get('/a')?.value).toBe('1');
});

test('a request can be held back, and is seen', async () => {
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  etcd.intercept(({ method }) => (method === 'Put' ? gate : undefined));
  const putting = etcd.client().put('/a').value('1').exec();
  await etcd.until(() => etcd.requests.some(({ method }) => method === 'Put'));
  expect(etcd.store.get('/a')).toBeUndefined();
  letGo();
  await putting;
  expect(etcd.store.get('/a')?.value).toBe('1');
});

test('time is moved by the test: a lease ends when it says so', async () => {
  await using manual = await MemoryEtcd.start({ time: 'manual' });
  manual.store.put('/a', '1', { leaseId: manual.store.grant(10) });
  manual.advance(9_999);
  expect(manual.store.get('/a')?.value).toBe('1');
  manual.advance(1);
  expect(manual.store.get('/a')).toBeUndefined();
  expect(manual.store.leases).toEqual([]);
});

test('wiped and restored, it has another history, and its watchers have to come back', async () => {
  etcd.store.put('/s/a', '1');
  const dump = etcd.store.dump();
  const seen: string[] = [];
  const watching = watchPrefix$(etcd.client(), '/s/').subscribe((snapshot) => {
    seen.push([...snapshot].join());
  });
  await etcd.until(() => seen.length === 1);
  etcd.store.put('/s/b', '2');
  await etcd.until(() => seen.length === 2);
  etcd.store.restore(dump);
  expect(etcd.store.revision).toBe(2);
  await etcd.until(() => seen.length === 3);
  expect(seen).toEqual(['/s/a,1', '/s/a,1,/s/b,2', '/s/a,1']);
  watching.unsubscribe();
});

test('several members answer from one store', async () => {
  await using three = await MemoryEtcd.start({ members: 3 });
  expect(new Set(three.hosts).size).toBe(3);
  const clients = three.hosts.map((host) => new Etcd3({ hosts: host }));
  await clients[0]!.put('/a').value('1');
  expect(await clients[2]!.get('/a').string()).toBe('1');
  for (const client of clients) client.close();
});

test('the condition that does not come true is named', async () => {
  await expect(etcd.until(() => false, { withinMs: 10, what: 'the impossible' })).rejects.toThrow(
    'the impossible did not come true within 10 ms',
  );
});

test.each([
  [{ members: 0 }, 'members'],
  [{ port: 70_000 }, 'port'],
  [{ time: 'slow' }, 'time'],
  [{ emulate: '2.3' }, 'emulate'],
])('a bad option is named: %j', async (options, name) => {
  await expect(MemoryEtcd.start(options as never)).rejects.toThrow(name);
});

test('stopped, it leaves nothing: a client is refused, and the port can be taken again', async () => {
  const [host] = etcd.hosts as [string];
  await etcd.stop();
  const client = new Etcd3({ hosts: host });
  await expect(client.get('/a')).rejects.toThrow();
  client.close();
  await using again = await MemoryEtcd.start({ port: Number(new URL(host).port) });
  expect(await firstValueFrom(watchPrefix$(again.client(), '/'))).toMatchObject({ size: 0 });
});
