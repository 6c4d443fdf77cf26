import { afterEach, beforeEach, expect, test } from 'vitest';
import { Etcd3 } from 'etcd3';
import type { Subscription } from 'rxjs';
import { register$ } from '../../src/registration/register.ts';
import type { RegistrationState } from '../../src/registration/registration-state.ts';
import { type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';

let server: EtcdServer;
let client: Etcd3;
let admin: Etcd3;
let subscriptions: Subscription[];

beforeEach(async () => {
  server = await startEtcd();
  client = new Etcd3({ hosts: server.clientUrl });
  admin = new Etcd3({ hosts: server.clientUrl });
  subscriptions = [];
});

afterEach(async () => {
  for (const subscription of subscriptions) subscription.unsubscribe();
  client.close();
  admin.close();
  await server.stop();
});

async function leases(): Promise<string[]> {
  return (await admin.leaseClient.leaseLeases()).leases.map(({ ID }) => ID);
}

test('registers a key under a lease, and leaves neither when unsubscribed', async () => {
  const states: RegistrationState[] = [];
  const subscription = register$(client, '/services/小王', '10.0.0.7:8080', { ttlSeconds: 5 }).subscribe((state) => states.push(state));
  subscriptions.push(subscription);
  const registered = await eventually(() => states.find((state) => state.status === 'registered'));
  expect(states.map(({ status }) => status)).toEqual(['registering', 'registered']);
  expect(await admin.get('/services/小王').string()).toBe('10.0.0.7:8080');
  expect(await leases()).toEqual([registered.leaseId]);
  subscription.unsubscribe();
  await eventually(async () => (await leases()).length === 0);
  expect(await admin.get('/services/小王').string()).toBeNull();
});
