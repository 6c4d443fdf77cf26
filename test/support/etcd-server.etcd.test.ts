import { afterEach, expect, test } from 'vitest';
import { Etcd3 } from 'etcd3';
import { type EtcdServer, startEtcd } from './etcd-server.ts';

let server: EtcdServer;
let client: Etcd3;

afterEach(async () => {
  client.close();
  await server.stop();
});

async function start(): Promise<void> {
  server = await startEtcd();
  client = new Etcd3({ hosts: server.clientUrl });
}

test('a server keeps its data over kill and start, and loses it by wipe', async () => {
  await start();
  await client.put('a').value('1');
  const before = server.pid;
  await server.restart();
  expect(server.pid).not.toBe(before);
  expect(await client.get('a').string()).toBe('1');
  await server.wipe();
  await server.start();
  expect(await client.get('a').string()).toBeNull();
});

test('a restored backup has forgotten what came after it', async () => {
  await start();
  await client.put('a').value('1');
  await server.saveBackup();
  await client.put('a').value('2');
  await server.restoreBackup();
  expect(await client.get('a').string()).toBe('1');
});

test('a paused server answers after resume', async () => {
  await start();
  server.pause();
  const answer = client.put('a').value('1');
  server.resume();
  await answer;
});

test('metrics count the watchers', async () => {
  await start();
  const watcher = await client.watch().key('a').create();
  const metrics = await server.metrics();
  expect(metrics('etcd_debugging_mvcc_watcher_total')).toBe(1);
  expect(metrics('etcd_debugging_mvcc_watch_stream_total')).toBe(1);
  expect(() => metrics('no_such_metric')).toThrow('no_such_metric');
  await watcher.cancel();
});
