import { afterEach, beforeEach, expect, test } from 'vitest';
import { BehaviorSubject, NEVER, Subject, of, throwError } from 'rxjs';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { watchPrefixState$ } from '../../src/discovery/watch-prefix-state.ts';
import { register$, type RegisterOptions } from '../../src/registration/register.ts';
import type { ValueSource } from '../../src/registration/desired.ts';
import { lease$ } from '../../src/registration/lease.ts';
import type { LeaseState } from '../../src/registration/lease-state.ts';
import { eventually } from '../support/eventually.ts';
import { record, startStage, type Recording, type Stage } from './support.ts';

let stage: Stage;
let recordings: Recording[];

beforeEach(async () => {
  stage = await startStage();
  recordings = [];
});

afterEach(async () => {
  for (const { subscription } of recordings) subscription.unsubscribe();
  await stage.stop();
});

const KEY = '/services/user/a1';

function register(value: ValueSource<string> = 'here', options: RegisterOptions<string> = {}): Recording {
  const recording = record(register$(stage.client, KEY, value, { ttlSeconds: 5, ...options }));
  recordings.push(recording);
  return recording;
}

/** What happened to the key since the beginning: values, and `undefined` for deletions. */
async function history(key = KEY): Promise<(string | undefined)[]> {
  const events: (string | undefined)[] = [];
  const watcher = await stage.admin.watch().key(key).startRevision('1').create();
  watcher.on('put', ({ value }) => events.push(value.toString()));
  watcher.on('delete', () => events.push(undefined));
  await stage.admin.put('/end').value('1');
  const end = await stage.admin.watch().key('/end').startRevision('1').create();
  await new Promise((resolve) => end.once('put', resolve));
  await watcher.cancel();
  await end.cancel();
  return events;
}

test('registers a key of any characters under a lease, and leaves neither when unsubscribed', async () => {
  const recording = record(register$(stage.client, '/services/小王', '小李', { ttlSeconds: 5 }));
  const { leaseId } = await recording.reaches('registered');
  expect(recording.statuses).toEqual(['registering', 'registered']);
  expect(await stage.entry('/services/小王')).toMatchObject({ value: '小李', lease: leaseId });
  recording.subscription.unsubscribe();
  await eventually(async () => (await stage.leases()).length === 0);
  expect(await stage.entry('/services/小王')).toBeUndefined();
});

test('keys of a namespace are below it, and reported without it', async () => {
  const recording = record(register$(stage.client.namespace('app/'), 'a1', 'here', { ttlSeconds: 5 }));
  recordings.push(recording);
  const state = await recording.reaches('registered');
  expect(state.key).toBe('a1');
  expect(await stage.entry('app/a1')).toMatchObject({ value: 'here', modRevision: state.revision });
});

test('a lease of its own takes keys put under it along', async () => {
  const states: LeaseState[] = [];
  const subscription = lease$(stage.client, { ttlSeconds: 5 }).subscribe((state) => states.push(state));
  const granted = await eventually(() => states.find((state) => state.status === 'granted'));
  await stage.admin.kv.put({ key: Buffer.from('own'), value: Buffer.from('1'), lease: granted.leaseId });
  subscription.unsubscribe();
  await eventually(async () => (await stage.leases()).length === 0);
  expect(await stage.entry('own')).toBeUndefined();
  expect(states.map(({ status }) => status)).toEqual(['granting', 'granted']);
});

test('a stream of values: in order, the latest wins, equal ones are not written, the end deregisters', async () => {
  const value = new Subject<string>();
  const recording = register(value);
  value.next('one');
  await recording.reaches('registered', (state) => state.value === 'one');
  value.next('one');
  value.next('two');
  await recording.reaches('registered', (state) => state.value === 'two');
  for (let index = 0; index < 100; index++) value.next(String(index));
  await recording.reaches('registered', (state) => state.value === '99');
  const { leaseId } = await recording.reaches('registered');
  expect(await stage.leases()).toEqual([leaseId]);
  value.complete();
  expect((await recording.reaches('deregistered')).confirmed).toBe(true);
  expect(recording.completed).toBe(true);
  expect(await stage.leases()).toEqual([]);
  const values = await history();
  expect(values.slice(0, 2)).toEqual(['one', 'two']);
  expect(values.slice(-2)).toEqual(['99', undefined]);
  const numbers = values.slice(2, -1).map(Number);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(new Set(values).size).toBe(values.length);
});

test('an error of the value ends the registration with it, and leaves nothing', async () => {
  const value = new BehaviorSubject('one');
  const recording = register(value);
  await recording.reaches('registered');
  const cause = new Error('no more values');
  value.error(cause);
  expect(recording.error).toBe(cause);
  await eventually(async () => (await stage.leases()).length === 0);
});

test('ready withdraws the key and brings it back under the same lease', async () => {
  const ready = new BehaviorSubject(false);
  const recording = register('here', { ready });
  const { leaseId } = await recording.reaches('withdrawn');
  expect(await stage.entry(KEY)).toBeUndefined();
  ready.next(true);
  await recording.reaches('registered');
  ready.next(false);
  await recording.reaches('withdrawn');
  expect(await stage.entry(KEY)).toBeUndefined();
  ready.next(true);
  expect((await recording.reaches('registered')).leaseId).toBe(leaseId);
  expect(await stage.entry(KEY)).toMatchObject({ value: 'here', lease: leaseId });
});

test('until: removed, drained, revoked, told, completed', async () => {
  const until = new Subject<void>();
  const recording = register('here', { until, drainMs: 300 });
  const { leaseId } = await recording.reaches('registered');
  until.next();
  expect(recording.last?.status).toBe('draining');
  await eventually(async () => (await stage.entry(KEY)) === undefined);
  expect(await stage.leases()).toEqual([leaseId]);
  expect((await recording.reaches('deregistered')).confirmed).toBe(true);
  expect(recording.completed).toBe(true);
  expect(await stage.leases()).toEqual([]);
  expect(recording.statuses).toEqual(['registering', 'registered', 'draining', 'deregistered']);
});

test('until with a drain value: marked instead of removed, then gone', async () => {
  const until = new Subject<void>();
  const recording = register('here', { until, drainMs: 300, drainValue: (value) => `${value}?draining` });
  await recording.reaches('registered');
  until.next();
  await eventually(async () => (await stage.entry(KEY))?.value === 'here?draining');
  await recording.reaches('deregistered');
  expect(await history()).toEqual(['here', 'here?draining', undefined]);
});

test('until before anything was granted leaves nothing', async () => {
  const recording = register('here', { until: of(1) });
  expect(recording.statuses).toEqual(['deregistered']);
  const late = new Subject<void>();
  const second = register('here', { until: late });
  late.next();
  await second.reaches('deregistered');
  expect(await stage.leases()).toEqual([]);
});

test('an error of until or ready passes through', () => {
  const cause = new Error('broken');
  expect(register('here', { until: throwError(() => cause) }).error).toBe(cause);
  expect(register('here', { ready: throwError(() => cause) }).error).toBe(cause);
});

test('several keys under one lease: all or nothing', async () => {
  const friend = new Subject<string>();
  const recording = record(
    register$(stage.client, { '/service/user': 'u', '/service/friend': friend }, { ttlSeconds: 5 }),
  );
  recordings.push(recording);
  await eventually(async () => (await stage.leases()).length === 1);
  expect(await stage.entry('/service/user')).toBeUndefined();
  friend.next('f');
  const state = await recording.reaches('registered');
  expect([...state.entries]).toEqual([
    ['/service/user', 'u'],
    ['/service/friend', 'f'],
  ]);
  const [user, other] = [await stage.entry('/service/user'), await stage.entry('/service/friend')];
  expect(user).toMatchObject({ lease: state.leaseId, modRevision: state.revision });
  expect(other).toMatchObject({ lease: state.leaseId, modRevision: state.revision });
  friend.next('f2');
  await recording.reaches('registered', ({ entries }) => entries.get('/service/friend') === 'f2');
  expect(await stage.entry('/service/user')).toEqual(user);
});

test('several keys, one of them taken: none while waiting, all when it is free', async () => {
  await stage.admin.put('/service/friend').value('other');
  const recording = record(
    register$(stage.client, { '/service/user': 'u', '/service/friend': 'f' }, { ttlSeconds: 5, onConflict: 'wait' }),
  );
  recordings.push(recording);
  await recording.reaches(
    'registering',
    ({ cause }) => (cause as { code?: string } | undefined)?.code === 'key-conflict',
  );
  expect(await stage.entry('/service/user')).toBeUndefined();
  await stage.admin.delete().key('/service/friend');
  await recording.reaches('registered');
  // Taken again later: the other key goes too.
  await stage.admin.put('/service/friend').value('other');
  await eventually(async () => (await stage.entry('/service/user')) === undefined);
  expect((await stage.entry('/service/friend'))?.value).toBe('other');
});

test('onConflict fail: an error with a code, and the other owner keeps the key', async () => {
  await stage.admin.put(KEY).value('other');
  const recording = register('here', { onConflict: 'fail' });
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ code: 'key-conflict' });
  expect((await stage.entry(KEY))?.value).toBe('other');
  await eventually(async () => (await stage.leases()).length === 0);
});

test('onConflict wait: stands by, and takes over when the owner goes', async () => {
  const first = register('first', { onConflict: 'wait' });
  await first.reaches('registered');
  const second = register('second', { onConflict: 'wait' });
  await second.reaches('registering', ({ cause }) => cause !== undefined);
  expect((await stage.entry(KEY))?.value).toBe('first');
  first.subscription.unsubscribe();
  await second.reaches('registered');
  expect(await history()).toEqual(['first', undefined, 'second']);
});

test('onConflict replace: the newcomer has the key, the former owner yields and does not fight', async () => {
  const first = register('first');
  await first.reaches('registered');
  const second = register('second');
  await second.reaches('registered');
  await first.reaches('registering', ({ cause }) => (cause as { code?: string } | undefined)?.code === 'key-conflict');
  expect(first.statuses).toContain('lost');
  expect((await stage.entry(KEY))?.value).toBe('second');
  second.subscription.unsubscribe();
  await first.reaches('registered');
  expect(await history()).toEqual(['first', 'second', undefined, 'first']);
});

test('onConflict replace: a key left behind without a lease is taken over', async () => {
  await stage.admin.put(KEY).value('left behind');
  const recording = register();
  const { leaseId } = await recording.reaches('registered');
  expect(await stage.entry(KEY)).toMatchObject({ value: 'here', lease: leaseId });
});

for (const onConflict of ['replace', 'wait', 'fail'] as const) {
  test(`deleted by somebody else (${onConflict}): noticed, and put again under the same lease`, async () => {
    const recording = register('here', { onConflict });
    const { leaseId, revision } = await recording.reaches('registered');
    await stage.admin.delete().key(KEY);
    const again = await recording.reaches('registered', (state) => state.revision > revision);
    expect(again.leaseId).toBe(leaseId);
    expect(recording.statuses).toContain('lost');
    expect(await stage.entry(KEY)).toMatchObject({ value: 'here', lease: leaseId });
  });
}

test('overwritten by hand without a lease: repaired under replace, reported and waited out under wait, an error under fail', async () => {
  const replace = register('here');
  await replace.reaches('registered');
  await stage.admin.put(KEY).value('by hand');
  await eventually(async () => (await stage.entry(KEY))?.value === 'here');
  replace.subscription.unsubscribe();
  await eventually(async () => (await stage.leases()).length === 0);

  const wait = register('here', { onConflict: 'wait' });
  await wait.reaches('registered');
  await stage.admin.put(KEY).value('by hand');
  await wait.reaches('registering', ({ cause }) => cause !== undefined);
  expect((await stage.entry(KEY))?.value).toBe('by hand');
  await stage.admin.delete().key(KEY);
  await wait.reaches('registered');
  wait.subscription.unsubscribe();
  await eventually(async () => (await stage.leases()).length === 0);

  const fail = register('here', { onConflict: 'fail' });
  await fail.reaches('registered');
  await stage.admin.put(KEY).value('by hand');
  await eventually(() => fail.error !== undefined);
  expect(fail.error).toMatchObject({ code: 'key-conflict' });
  expect((await stage.entry(KEY))?.value).toBe('by hand');
});

test('two who both replace, and one who overwrites for ever: no endless fight', async () => {
  const recording = register('here');
  await recording.reaches('registered');
  let overwritten = 0;
  const fighter = await stage.admin.watch().key(KEY).create();
  fighter.on('put', ({ value }) => {
    if (value.toString() !== 'here') return;
    overwritten += 1;
    void stage.admin.put(KEY).value('mine').exec();
  });
  await stage.admin.put(KEY).value('mine');
  await recording.reaches('registering', ({ cause }) => cause !== undefined, 30_000);
  await eventually(() => overwritten >= 3);
  const [lost] = [recording.statuses.filter((status) => status === 'lost').length];
  expect(lost).toBeLessThanOrEqual(6);
  expect((await stage.entry(KEY))?.value).toBe('mine');
  await fighter.cancel();
});

test('confirm watch: registered once the own watch has told of it', async () => {
  const recording = register('here', { confirm: 'watch' });
  const { revision } = await recording.reaches('registered');
  expect((await stage.entry(KEY))?.modRevision).toBe(revision);
  stage.proxy.cut();
  await recording.reaches('suspended');
  await recording.reaches('registered', (state) => state.revision === revision);
});

test('a blocked event loop shows in the state', async () => {
  const recording = register('here', { ttlSeconds: 3 });
  await recording.reaches('registered');
  const until = performance.now() + 2000;
  while (performance.now() < until);
  const late = await eventually(() =>
    recording.states.find((state) => state.status === 'registered' && state.renewalLateMs > 0),
  );
  expect(late).toMatchObject({ status: 'registered' });
  await recording.reaches('registered', ({ renewalLateMs }) => renewalLateMs === 0);
});

test('an Observable without a value yet holds the lease and no key', async () => {
  register(NEVER);
  await eventually(async () => (await stage.leases()).length === 1);
  expect(await stage.entry(KEY)).toBeUndefined();
});

test('what etcd refuses is an error with a code', async () => {
  const recording = register('x'.repeat(2_000_000));
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ name: 'RxEtcdError', code: 'invalid-request' });
});

test.each([
  ['over the limit of a request (1.5 MB)', 1_700_000],
  ['over the limit of a message (2 MB)', 2_200_000],
])('a value %s ends its own registration alone: it was retried, and the other watches went stale', async (_, bytes) => {
  const states: PrefixState<string>[] = [];
  const watch = watchPrefixState$(stage.client, '/elsewhere/').subscribe((state) => states.push(state));
  const other = record(register$(stage.client, '/elsewhere/a1', 'small', { ttlSeconds: 5 }));
  recordings.push(other);
  await other.reaches('registered');
  const recording = record(register$(stage.client, KEY, 'x'.repeat(bytes)));
  recordings.push(recording);
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ name: 'RxEtcdError', code: 'invalid-request' });
  await stage.admin.put('/elsewhere/a2').value('later');
  await eventually(() => {
    const last = states.at(-1);
    return last?.status === 'live' && last.snapshot.has('/elsewhere/a2');
  });
  watch.unsubscribe();
  expect(states.map(({ status }) => status)).not.toContain('stale');
  expect(other.statuses).toEqual(['registering', 'registered']);
  expect(await stage.entry(KEY)).toBeUndefined();
});

test('a closed client is an error with a code', async () => {
  const recording = register();
  await recording.reaches('registered');
  stage.client.close();
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ code: 'client-closed' });
});
