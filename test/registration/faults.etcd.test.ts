import { afterEach, beforeEach, expect, test } from 'vitest';
import { BehaviorSubject } from 'rxjs';
import { register$ } from '../../src/registration/register.ts';
import { eventually } from '../support/eventually.ts';
import { record, startProvider, startStage, type Recording, type Stage } from './support.ts';

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
const RETURN_MS = 3000;

async function registered(value: string | BehaviorSubject<string> = 'here', ttlSeconds = 2): Promise<Recording> {
  const recording = record(register$(stage.client, KEY, value, { ttlSeconds }));
  recordings.push(recording);
  await recording.reaches('registered');
  return recording;
}

/** That what is reported is what is there: the key under the one lease. */
async function expectTrue(recording: Recording, value = 'here'): Promise<void> {
  const state = await recording.reaches('registered');
  expect(await stage.entry(KEY)).toMatchObject({ value, lease: state.leaseId, modRevision: state.revision });
  expect(await stage.leases()).toEqual([state.leaseId]);
}

test('revoked from outside: lost, and back under a new lease with the latest value', async () => {
  const value = new BehaviorSubject('first');
  const recording = await registered(value);
  value.next('second');
  const before = await recording.reaches('registered', (state) => state.value === 'second');
  await stage.admin.leaseClient.leaseRevoke({ ID: before.leaseId });
  await recording.reaches('registered', (state) => state.leaseId !== before.leaseId, RETURN_MS);
  await expectTrue(recording, 'second');
  expect(recording.statuses).toEqual(['registering', 'registered', 'registered', 'lost', 'registering', 'registered']);
});

test('etcd frozen for longer than the TTL: suspended meanwhile, then back', async () => {
  const recording = await registered();
  stage.server.pause();
  const suspended = await recording.reaches('suspended');
  await eventually(() => Date.now() > suspended.expiresAtMs + 2000);
  expect(recording.last?.status).not.toBe('registered');
  stage.server.resume();
  await recording.reaches('registered', () => true, RETURN_MS);
  await eventually(() => expectTrue(recording).then(() => true));
});

test('cut off for longer than the TTL: the lease expires, and a new one takes its place', async () => {
  const value = new BehaviorSubject('first');
  const recording = await registered(value);
  const before = await recording.reaches('registered');
  await stage.proxy.refuse();
  await recording.reaches('suspended');
  value.next('second');
  await eventually(async () => (await stage.leases()).length === 0);
  expect(await stage.entry(KEY)).toBeUndefined();
  expect(recording.last?.status).toBe('suspended');
  await stage.proxy.accept();
  const after = await recording.reaches('registered', () => true, RETURN_MS);
  expect(after.leaseId).not.toBe(before.leaseId);
  await expectTrue(recording, 'second');
  expect(recording.statuses).toEqual(['registering', 'registered', 'suspended', 'lost', 'registering', 'registered']);
});

test('etcd killed and restarted after longer than the TTL: back, nothing twice', async () => {
  const recording = await registered();
  await stage.server.kill();
  const suspended = await recording.reaches('suspended');
  await eventually(() => Date.now() > suspended.expiresAtMs);
  await stage.server.start();
  await recording.reaches('registered', () => true, RETURN_MS);
  await expectTrue(recording);
});

test('etcd wiped: back in the new history', async () => {
  const recording = await registered();
  const before = await recording.reaches('registered');
  await stage.server.wipe();
  await stage.server.start();
  await recording.reaches('registered', (state) => state.leaseId !== before.leaseId, RETURN_MS);
  await expectTrue(recording);
});

test('etcd restored from a backup in which the lease lives and the value is older: the latest value again', async () => {
  const value = new BehaviorSubject('first');
  const recording = await registered(value, 5);
  await stage.server.saveBackup();
  await recording.reaches('registered');
  value.next('second');
  await recording.reaches('registered', (state) => state.value === 'second');
  await stage.server.restoreBackup();
  await eventually(async () => (await stage.entry(KEY))?.value === 'second');
  await eventually(() => expectTrue(recording, 'second').then(() => true));
});

test('etcd restarted at once: the same lease afterwards, and nothing written', async () => {
  const recording = await registered('here', 5);
  const before = await stage.entry(KEY);
  const mark = recording.mark();
  await stage.server.restart();
  await eventually(() => recording.mark() > mark);
  await recording.reaches('registered', () => true, RETURN_MS);
  expect(await stage.entry(KEY)).toEqual(before);
  await expectTrue(recording);
});

test('an outage shorter than the TTL changes nothing in etcd', async () => {
  const recording = await registered('here', 6);
  const before = await stage.entry(KEY);
  await stage.proxy.refuse();
  await recording.reaches('suspended');
  await stage.proxy.accept();
  await recording.reaches('registered', () => true, RETURN_MS);
  expect(await stage.entry(KEY)).toEqual(before);
  expect(recording.statuses).toEqual(['registering', 'registered', 'suspended', 'registered']);
});

test('TCP resets: fifty registrations keep their leases', async () => {
  const all = Array.from({ length: 50 }, (_, index) =>
    record(register$(stage.client, `${KEY}/${index}`, 'here', { ttlSeconds: 4 })),
  );
  recordings.push(...all);
  const before = await Promise.all(all.map((recording) => recording.reaches('registered')));
  for (let round = 0; round < 3; round++) {
    const marks = all.map((recording) => recording.mark());
    stage.proxy.cut();
    await eventually(() => all.every((recording, index) => recording.mark() > (marks[index] as number)));
    await Promise.all(all.map((recording) => recording.reaches('registered')));
  }
  const after = await Promise.all(all.map((recording) => recording.reaches('registered')));
  expect(after.map(({ leaseId, revision }) => [leaseId, revision])).toEqual(
    before.map(({ leaseId, revision }) => [leaseId, revision]),
  );
  expect(new Set(await stage.leases())).toEqual(new Set(before.map(({ leaseId }) => leaseId)));
});

test('own process suspended for longer than the TTL: registered again when resumed', async () => {
  const provider = startProvider(stage.proxy.url, KEY, 2);
  await provider.reaches('registered');
  provider.child.kill('SIGSTOP');
  await eventually(async () => (await stage.leases()).length === 0);
  expect(await stage.entry(KEY)).toBeUndefined();
  provider.child.kill('SIGCONT');
  await eventually(async () => (await stage.entry(KEY)) !== undefined, { withinMs: RETURN_MS });
  const state = await provider.reaches('registered');
  expect(await stage.entry(KEY)).toMatchObject({ lease: (state as { leaseId: string }).leaseId });
  provider.child.stdin?.write('leave\n');
  expect(await provider.exited).toBe(0);
  expect(await stage.leases()).toEqual([]);
});

test('a provider killed with SIGKILL is gone within its TTL and two seconds', async () => {
  const provider = startProvider(stage.proxy.url, KEY, 3);
  await provider.reaches('registered');
  provider.child.kill('SIGKILL');
  await provider.exited;
  await eventually(async () => (await stage.entry(KEY)) === undefined, { withinMs: 5000 });
});

test('towards a dead server the revoke is bounded, and the process ends', async () => {
  const provider = startProvider(stage.proxy.url, KEY, 2);
  await provider.reaches('registered');
  stage.server.pause();
  provider.child.stdin?.write('leave\n');
  expect(await provider.exited).toBe(0);
  stage.server.resume();
});

test('a client closed before the unsubscription: the process ends all the same', async () => {
  const provider = startProvider(stage.proxy.url, KEY, 2, 'close');
  await provider.reaches('registered');
  provider.child.stdin?.write('leave\n');
  expect(await provider.exited).not.toBeNull();
});
