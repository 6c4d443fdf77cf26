import { afterAll, describe, expect, test } from 'vitest';
import { resolveClient } from '../../src/etcd/connection.ts';
import { watchPrefixState$ } from '../../src/index.ts';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { gateway, type Gateway } from '../support/gateway.ts';
import { disposer, entries } from './support.ts';

const end = disposer();
afterAll(() => end.dispose());

/** The promised bound is about 15 s; a busy machine may need a little more. */
const NOTICED_WITHIN_MS = 18_000;

async function start(): Promise<{ readonly server: EtcdServer; readonly etcd: Gateway }> {
  const server = await startEtcd();
  end.add(() => server.stop());
  return { server, etcd: gateway(server.clientUrl) };
}

// Each waits for a bound of 15 or 20 s with a server of its own: all at once.
describe.concurrent('silence', () => {
  test('a frozen member alone: stale within the bound, live again when it thaws', async () => {
    const { server, etcd } = await start();
    await etcd.put('f/a');
    const followed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'f/'));
    await followed.holds({ 'f/a': '1' });
    server.pause();
    await followed.becomes('stale', NOTICED_WITHIN_MS);
    server.resume();
    await followed.becomes('live', 5000);
    await etcd.put('f/b');
    await followed.holds({ 'f/a': '1', 'f/b': '1' });
    expect(followed.resyncs).toEqual([]);
  });

  test.each(['both sides', 'client', 'server'] as const)(
    'a connection black-holed (%s): stale within the bound, live again after',
    async (side) => {
      const { server, etcd } = await start();
      const proxy = await startProxy(server.clientPort);
      end.add(() => proxy.stop());
      const followed = end.follow(watchPrefixState$(end.client(proxy.url), 'b/'));
      await followed.holds({});
      proxy.blackhole(side === 'both sides' ? undefined : side);
      await etcd.put('b/a');
      await followed.becomes('stale', NOTICED_WITHIN_MS);
      proxy.heal();
      await followed.holds({ 'b/a': '1' }, 8000);
      expect(followed.resyncs).toEqual([]);
    },
  );

  test('an idle watch stays on its connection for longer than any ping: no reason for GOAWAY', async () => {
    const { server, etcd } = await start();
    const proxy = await startProxy(server.clientPort);
    end.add(() => proxy.stop());
    const followed = end.follow(watchPrefixState$(end.client(proxy.url), 'i/'));
    await followed.holds({});
    await eventually(async () => (await server.metrics())('etcd_debugging_mvcc_watcher_total') === 1);
    const { accepted, bytesFromServer } = proxy;
    // Two pings have been answered when so many bytes more have come.
    await eventually(() => proxy.bytesFromServer >= bytesFromServer + 2 * 17, { withinMs: 28_000 });
    await etcd.put('i/a');
    await followed.holds({ 'i/a': '1' });
    expect(proxy.accepted).toBe(accepted);
    expect(followed.statuses).toEqual(['pending', 'live']);
  });

  test('away for more than 20 s: back soon after etcd is back, whatever the outage looked like', async () => {
    const { server, etcd } = await start();
    const proxy = await startProxy(server.clientPort);
    end.add(() => proxy.stop());
    const killed = end.follow(watchPrefixState$(end.client(server.clientUrl), 'k/'));
    const refused = end.follow(watchPrefixState$(end.client(proxy.url), 'k/'));
    await etcd.put('k/a');
    await killed.holds({ 'k/a': '1' });
    await refused.holds({ 'k/a': '1' });
    await proxy.refuse();
    await server.kill();
    await new Promise((resolve) => setTimeout(resolve, 21_000));
    expect(killed.last.status).toBe('stale');
    expect(refused.last.status).toBe('stale');
    await server.start();
    await proxy.accept();
    await Promise.all([killed.becomes('live', 5000), refused.becomes('live', 5000)]);
    await etcd.put('k/b');
    await killed.holds({ 'k/a': '1', 'k/b': '1' });
    await refused.holds({ 'k/a': '1', 'k/b': '1' });
  });

  test('a catch-up that takes longer than the bound is not mistaken for death', async () => {
    const { server, etcd } = await start();
    const proxy = await startProxy(server.clientPort);
    end.add(() => proxy.stop());
    const followed = end.follow(watchPrefixState$(end.client(proxy.url), 'slow/'));
    await followed.holds({});
    await proxy.refuse();
    const value = 'x'.repeat(2000);
    await etcd.putEach(entries('slow/', 1500, () => value));
    // Every chunk is held back: a window of 64 KB goes round about three times a second.
    proxy.setDelay(160);
    await proxy.accept();
    const accepted = proxy.accepted;
    await followed.holds((snapshot) => snapshot.size === 1500, 55_000);
    expect(proxy.accepted - accepted).toBe(1);
    expect(followed.resyncs).toEqual([]);
  });

  test("a user's own failing calls, and etcd3's breaker that they open, do not matter", async () => {
    const { server, etcd } = await start();
    const client = end.client(server.clientUrl);
    const followed = end.follow(watchPrefixState$(client, 'br/'));
    await followed.holds({});
    const tooBig = 'x'.repeat(3_000_000);
    const failures = await eventually(async () => {
      const failure = await client.put('elsewhere').value(tooBig).then(String, String);
      return failure.includes('BrokenCircuitError') || failure.includes('circuit breaker') ? failure : undefined;
    });
    expect(failures).toContain('circuit');
    const late = end.follow(watchPrefixState$(client, 'br/'));
    await etcd.put('br/a');
    await followed.holds({ 'br/a': '1' }, 2000);
    await late.holds({ 'br/a': '1' }, 2000);
    expect(followed.statuses).toEqual(['pending', 'live']);
  });

  test('retries bounded by `maxRetries` end with retries-exhausted, and the last fault as its cause', async () => {
    const { server } = await start();
    const client = end.client(server.clientUrl);
    const followed = end.follow(watchPrefixState$(client, 'mr/', { maxRetries: 3 }));
    const endless = end.follow(watchPrefixState$(client, 'mr/'));
    await followed.holds({});
    await server.kill();
    const error = await followed.failed();
    expect(error.code).toBe('retries-exhausted');
    expect(error.message).toContain('maxRetries');
    expect(error.cause).toBeInstanceOf(Error);
    const attempts = followed.states.flatMap((state) => (state.status === 'stale' ? [state.attempt] : []));
    expect(attempts).toEqual([1, 2, 3]);
    await server.start();
    await endless.becomes('live', 5000);
    const never = end.follow(watchPrefixState$(end.client('http://127.0.0.1:1'), 'mr/', { maxRetries: 0 }));
    expect((await never.failed()).code).toBe('retries-exhausted');
  });

  test('one connection serves every watch of a client and of its namespaces', async () => {
    const { server } = await start();
    const client = end.client(server.clientUrl);
    expect(resolveClient(client).connection).toBe(resolveClient(client.namespace('x/')).connection);
    const all = ['a/', 'b/', 'c/'].flatMap((prefix) => [
      end.follow(watchPrefixState$(client, prefix)),
      end.follow(watchPrefixState$(client.namespace('x/'), prefix)),
    ]);
    for (const followed of all) await followed.holds({});
    await eventually(async () => {
      const metrics = await server.metrics();
      return (
        metrics('etcd_debugging_mvcc_watcher_total') === 6 && metrics('etcd_debugging_mvcc_watch_stream_total') === 1
      );
    });
  });
});
