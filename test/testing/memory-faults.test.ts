import { afterEach, beforeEach, expect, test } from 'vitest';
import { register$, watchPrefixState$, type PrefixState, type RegistrationState } from 'rx-etcd';
import { MemoryEtcd } from 'rx-etcd/testing';
import { RawClient } from './differential/raw-client.ts';

let etcd: MemoryEtcd;

beforeEach(async () => {
  etcd = await MemoryEtcd.start();
});

afterEach(async () => {
  await etcd.stop();
});

test.each([
  ['cut', () => etcd.faults.cut()],
  ['told to go away', () => etcd.faults.goAway()],
  ['reset in the middle of an answer', () => etcd.faults.resetAfter(20)],
] as const)('a watch goes on without a gap when its connection is %s', async (_what, fault) => {
  let state: PrefixState<string> | undefined;
  const watching = watchPrefixState$(etcd.client(), '/s/').subscribe((next) => (state = next));
  await etcd.until(() => state?.status === 'live');
  fault();
  etcd.store.put('/s/a', '1');
  await etcd.until(() => state?.status === 'live' && state.snapshot.get('/s/a') === '1');
  watching.unsubscribe();
});

test('down and back: stale meanwhile, then live with what changed', async () => {
  const seen: string[] = [];
  let state: PrefixState<string> | undefined;
  const watching = watchPrefixState$(etcd.client(), '/s/').subscribe((next) => {
    state = next;
    if (seen.at(-1) !== next.status) seen.push(next.status);
  });
  await etcd.until(() => state?.status === 'live');
  await etcd.faults.goDown();
  await etcd.until(() => state?.status === 'stale');
  etcd.store.put('/s/a', '1');
  await etcd.faults.comeBack();
  await etcd.until(() => state?.status === 'live' && state.snapshot.has('/s/a'));
  watching.unsubscribe();
  expect(seen.filter((status) => status !== 'pending')).toEqual(['live', 'stale', 'live']);
});

test('a lease that ends is registered again', async () => {
  const seen: string[] = [];
  const states: RegistrationState[] = [];
  const registration = register$(etcd.client(), '/s/a', 'host').subscribe((state) => {
    states.push(state);
    seen.push(state.status);
  });
  await etcd.until(() => states.at(-1)?.status === 'registered');
  etcd.store.expireLeases();
  await etcd.until(() => seen.filter((status) => status === 'registered').length === 2);
  expect(etcd.store.get('/s/a')?.value).toBe('host');
  registration.unsubscribe();
  await etcd.until(() => etcd.store.leases.length === 0);
});

test('a method fails as often as it shall, and is not carried out', async () => {
  etcd.faults.fail('Put', { code: 'FAILED_PRECONDITION', message: 'no', times: 2 });
  const client = etcd.client();
  await expect(client.put('/a').value('1').exec()).rejects.toThrow('no');
  await expect(client.put('/a').value('1').exec()).rejects.toThrow('no');
  expect(etcd.store.get('/a')).toBeUndefined();
  await client.put('/a').value('1');
});

test('an answer that is lost was carried out', async () => {
  etcd.faults.loseAnswers('Put');
  const client = new RawClient(etcd.hosts[0]!);
  expect(await client.call('Put', { key: Buffer.from('/a') }).catch(() => 'lost')).not.toHaveProperty('header');
  expect(etcd.store.get('/a')?.version).toBe(1);
  client.close();
});

test('frozen, nothing is answered; thawed, everything is', async () => {
  const client = etcd.client();
  await client.get('/a');
  etcd.faults.freeze();
  let done = false;
  const putting = client
    .put('/a')
    .value('1')
    .then(() => (done = true));
  await expect(client.kv.range({ key: Buffer.from('/a') }, { deadline: Date.now() + 100 })).rejects.toThrow();
  expect(done).toBe(false);
  etcd.faults.thaw();
  await putting;
  expect(etcd.store.get('/a')?.value).toBe('1');
});

test('without a leader a write times out by the time of the server, and a serializable read is served', async () => {
  await using manual = await MemoryEtcd.start({ time: 'manual' });
  const client = new RawClient(manual.hosts[0]!);
  manual.faults.loseLeader();
  const putting = client.call('Put', { key: Buffer.from('/a') });
  await manual.until(() => manual.requests.some(({ method }) => method === 'Put'));
  expect(await client.call('Range', { key: Buffer.from('/a'), serializable: true })).toMatchObject({ count: 0 });
  manual.advance(7000);
  expect(await putting).toEqual({ code: 14, message: 'etcdserver: request timed out' });
  manual.faults.regainLeader();
  expect(await client.call('Put', { key: Buffer.from('/a') })).toHaveProperty('header');
  client.close();
});

test('out of space, puts and grants are refused and the rest is not', async () => {
  etcd.faults.outOfSpace(true);
  await expect(etcd.client().put('/a').value('1').exec()).rejects.toThrow('database space exceeded');
  await expect(etcd.client().lease(10).grant()).rejects.toThrow('database space exceeded');
  expect(await etcd.client().get('/a')).toBeNull();
  etcd.faults.outOfSpace(false);
  await etcd.client().put('/a').value('1');
});

test.each([
  ['3.4', '5'],
  ['3.7', '0'],
] as const)('emulating %s, an answer of keys only says lease %s', async (emulate, lease) => {
  await using other = await MemoryEtcd.start({ emulate });
  other.store.put('/a', '1', { leaseId: other.store.grant(10, '5') });
  const { kvs } = await other.client().kv.range({ key: Buffer.from('/a'), keys_only: true });
  expect(kvs.map((kv) => kv.lease)).toEqual([lease]);
});

test('a member that is not there is named', () => {
  expect(() => {
    etcd.faults.cut(1);
  }).toThrow('member');
});
