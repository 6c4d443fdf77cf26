import { afterEach, beforeEach, expect, test } from 'vitest';
import { BehaviorSubject } from 'rxjs';
import { register$ } from '../../src/registration/register.ts';
import { eventually } from '../support/eventually.ts';
import { record, startStage, type Stage } from './support.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await startStage({ extraArgs: ['--auth-token-ttl=1'] });
  const { admin } = stage;
  const role = await admin.role('providers').create();
  await role.grant({ permission: 'Readwrite', range: admin.range({ prefix: '/services/' }) });
  const user = await admin.user('provider').create('secret');
  await user.addRole('providers');
  const root = await admin.user('root').create('root');
  await root.addRole('root');
  await admin.auth.authEnable();
});

afterEach(() => stage.stop());

test('an expired token, then a reset: the same lease goes on', async () => {
  const client = stage.newClient({ auth: { username: 'provider', password: 'secret' } });
  const root = stage.newClient({ hosts: stage.server.clientUrl, auth: { username: 'root', password: 'root' } });
  const value = new BehaviorSubject('one');
  const recording = record(register$(client, '/services/a1', value, { ttlSeconds: 3 }));
  const { leaseId } = await recording.reaches('registered');
  // Longer than the token lives: etcd counts in whole seconds.
  const from = Date.now();
  await eventually(() => Date.now() - from > 2500);
  stage.proxy.cut();
  await recording.reaches('suspended');
  await recording.reaches('registered');
  value.next('two');
  const state = await recording.reaches('registered', (now) => now.value === 'two');
  expect(state.leaseId).toBe(leaseId);
  recording.subscription.unsubscribe();
  await eventually(async () => (await root.leaseClient.leaseLeases()).leases.length === 0);
});

test('a key outside of what the user may write: an error with a code', async () => {
  const client = stage.newClient({ auth: { username: 'provider', password: 'secret' } });
  const recording = record(register$(client, '/elsewhere/a1', 'one', { ttlSeconds: 3 }));
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ code: 'permission-denied' });
});

test('a wrong password: an error with a code', async () => {
  const client = stage.newClient({ auth: { username: 'provider', password: 'wrong' } });
  const recording = record(register$(client, '/services/a1', 'one', { ttlSeconds: 3 }));
  await eventually(() => recording.error !== undefined);
  expect(recording.error).toMatchObject({ code: 'unauthenticated' });
});
