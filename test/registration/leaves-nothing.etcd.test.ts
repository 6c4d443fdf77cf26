import { afterEach, beforeEach, expect, test } from 'vitest';
import fc from 'fast-check';
import { BehaviorSubject } from 'rxjs';
import { register$ } from '../../src/registration/register.ts';
import { eventually } from '../support/eventually.ts';
import { record, startStage, type Stage } from './support.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await startStage();
});

afterEach(() => stage.stop());

async function expectNothing(withinMs = 10_000): Promise<void> {
  await eventually(async () => (await stage.leases()).length === 0, { withinMs, what: 'no lease left' });
  expect((await stage.admin.getAll().keys()).length).toBe(0);
}

test('unsubscribed at any of hundreds of moments: no key and no lease is left', async () => {
  const moments = fc.array(
    fc.record({ turns: fc.nat(60), delayMs: fc.nat(25), change: fc.boolean(), keys: fc.integer({ min: 1, max: 3 }) }),
    {
      minLength: 30,
      maxLength: 30,
    },
  );
  await fc.assert(
    fc.asyncProperty(moments, async (all) => {
      await Promise.all(
        all.map(async ({ turns, delayMs, change, keys }, index) => {
          const value = new BehaviorSubject('one');
          const entries = Object.fromEntries(
            Array.from({ length: keys }, (_, key) => [`/services/${index}/${key}`, value]),
          );
          const { subscription } = record(register$(stage.client, entries, { ttlSeconds: 60 }));
          await new Promise((resolve) => setTimeout(resolve, delayMs));
          if (change) value.next('two');
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          subscription.unsubscribe();
        }),
      );
      await expectNothing();
    }),
    { numRuns: 15 },
  );
});

test('unsubscribed while the connection is being reset, again and again: no key and no lease is left', async () => {
  const moments = fc.array(fc.record({ cutMs: fc.nat(15), endMs: fc.nat(30) }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(moments, async (all) => {
      await Promise.all(
        all.map(async ({ cutMs, endMs }, index) => {
          const { subscription } = record(register$(stage.client, `/services/${index}`, 'one', { ttlSeconds: 60 }));
          setTimeout(() => {
            stage.proxy.cut();
          }, cutMs);
          await new Promise((resolve) => setTimeout(resolve, endMs));
          subscription.unsubscribe();
        }),
      );
      await expectNothing(20_000);
    }),
    { numRuns: 12 },
  );
});

test('a grant whose answer is lost is revoked', async () => {
  // A client of its own, so that the first thing to come back is the answer to the grant.
  const client = stage.newClient();
  const warm = record(register$(client, '/services/warm', 'one', { ttlSeconds: 60 }));
  await warm.reaches('registered');
  const before = await stage.leases();
  stage.proxy.blackhole('server');
  const { subscription } = record(register$(client, '/services/a1', 'one', { ttlSeconds: 60 }));
  await eventually(async () => (await stage.leases()).length === before.length + 1);
  subscription.unsubscribe();
  stage.proxy.heal();
  stage.proxy.cut();
  await eventually(async () => (await stage.leases()).length === before.length);
  warm.subscription.unsubscribe();
  await expectNothing();
});

test('frozen while the grant is on its way, unsubscribed, then resumed: nothing is left', async () => {
  const warm = record(register$(stage.client, '/services/warm', 'one', { ttlSeconds: 60 }));
  await warm.reaches('registered');
  stage.server.pause();
  const others = Array.from({ length: 20 }, (_, index) =>
    record(register$(stage.client, `/services/${index}`, 'one', { ttlSeconds: 60 })),
  );
  await new Promise((resolve) => setImmediate(resolve));
  for (const { subscription } of [warm, ...others]) subscription.unsubscribe();
  stage.server.resume();
  await expectNothing();
});
