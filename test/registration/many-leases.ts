import assert from 'node:assert/strict';
import { register$ } from '../../src/registration/register.ts';
import { eventually } from '../support/eventually.ts';
import { record, type Stage } from './support.ts';

/** What holding many leases took, for a report. */
export interface ManyLeases {
  readonly registeredMs: number;
  readonly revokedMs: number;
  /** Of this process, while holding: processor time as a part of the time that passed. */
  readonly load: number;
}

/** Holds many registrations of one client for several TTLs, and checks that none is lost, over one connection. */
export async function holdManyLeases(
  stage: Stage,
  count: number,
  ttlSeconds: number,
  ttls: number,
): Promise<ManyLeases> {
  const startMs = performance.now();
  const all = Array.from({ length: count }, (_, index) =>
    record(register$(stage.client, `/services/${index}`, 'here', { ttlSeconds })),
  );
  await eventually(() => all.every(({ last }) => last?.status === 'registered'), {
    withinMs: 200_000,
    what: `${count} registered`,
  });
  const registeredMs = performance.now() - startMs;
  // Subscribing to thousands in one turn can outlast the first attempt to connect.
  const { accepted } = stage.proxy;
  const marks = all.map((recording) => recording.mark());

  const [cpu, heldFromMs] = [process.cpuUsage(), performance.now()];
  await eventually(() => performance.now() - heldFromMs > ttls * ttlSeconds * 1000, {
    withinMs: (ttls + 1) * ttlSeconds * 1000,
  });
  const used = process.cpuUsage(cpu);

  // A renewal that was late is told of; nothing else may have happened.
  const later = all.flatMap(({ states }, index) => states.slice(marks[index]).map(({ status }) => status));
  assert.deepEqual(
    later.filter((status) => status !== 'registered'),
    [],
  );
  const leaseIds = all.map(({ last }) => (last?.status === 'registered' ? last.leaseId : ''));
  assert.deepEqual(new Set(await stage.leases()), new Set(leaseIds));
  assert.equal(new Set(leaseIds).size, count);
  assert.deepEqual([stage.proxy.connections, stage.proxy.accepted], [1, accepted]);
  const metrics = await stage.server.metrics();
  const streams =
    'grpc_server_started_total{grpc_method="LeaseKeepAlive",grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"}';
  assert.equal(metrics(streams), 1);
  assert.equal(metrics('etcd_debugging_mvcc_watch_stream_total'), 1);
  assert.equal(metrics('etcd_debugging_mvcc_watcher_total'), count);

  const endMs = performance.now();
  for (const { subscription } of all) subscription.unsubscribe();
  await eventually(async () => (await stage.leases()).length === 0, {
    withinMs: 200_000,
    everyMs: 100,
    what: 'no lease left',
  });
  return {
    registeredMs: Math.round(registeredMs),
    revokedMs: Math.round(performance.now() - endMs),
    load: (used.user + used.system) / 1000 / (ttls * ttlSeconds * 1000),
  };
}
