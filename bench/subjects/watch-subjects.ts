import type { Etcd3, IKeyValue } from 'etcd3';
import { fromEvent, map, merge, scan } from 'rxjs';
import { watchPrefix$ } from '../../src/index.ts';
import { PREFIX } from '../support/hosts.ts';
import { stockMethods } from '../../test/support/stock-methods.ts';
import { serviceClient } from '../support/stock.ts';

/** Follows the prefix; calls back with each revision seen, and resolves when it is watching. */
type Subject = (etcd: Etcd3, onRevision: (revision: number) => void) => Promise<void>;

export type SubjectName = keyof typeof WATCH_SUBJECTS;

/** The ways to follow a prefix. Each keeps what it makes of it in `kept`. */
export const WATCH_SUBJECTS = { 'rx-etcd': rxEtcd, scan: scanned, 'mutable-map': mutableMap, floor };

/** The last state, so that nothing is optimized away. */
const kept: { state: unknown } = { state: undefined };

function rxEtcd(...[etcd, onRevision]: Parameters<Subject>): Promise<void> {
  return new Promise((resolve) => {
    watchPrefix$(etcd, PREFIX).subscribe((snapshot) => {
      // Not for each: to resolve what is resolved already costs Node a microsecond.
      if (kept.state === undefined) resolve();
      kept.state = snapshot;
      onRevision(snapshot.revision);
    });
  });
}

/** What a user of etcd3 and RxJS writes today: a new Map for each event. */
async function scanned(...[etcd, onRevision]: Parameters<Subject>): Promise<void> {
  const { hosts, startRevision } = await getAll(etcd);
  const watcher = await etcd.watch().prefix(PREFIX).startRevision(startRevision).create();
  const put$ = fromEvent<[IKeyValue]>(watcher as never, 'put');
  const deleted$ = fromEvent<[IKeyValue]>(watcher as never, 'delete');
  merge(put$.pipe(map(([kv]) => ({ kv, put: true }))), deleted$.pipe(map(([kv]) => ({ kv, put: false }))))
    .pipe(
      scan(
        (state, { kv, put }) => {
          const next = new Map(state.hosts);
          if (put) next.set(kv.key.toString(), kv.value.toString());
          else next.delete(kv.key.toString());
          return { hosts: next, revision: Number(kv.mod_revision) };
        },
        { hosts, revision: 0 },
      ),
    )
    .subscribe((state) => {
      kept.state = state.hosts;
      onRevision(state.revision);
    });
}

/** The cheapest that etcd3's watcher allows: one Map, changed in place. It is no snapshot. */
async function mutableMap(...[etcd, onRevision]: Parameters<Subject>): Promise<void> {
  const { hosts, startRevision } = await getAll(etcd);
  kept.state = hosts;
  const watcher = await etcd.watch().prefix(PREFIX).startRevision(startRevision).create();
  watcher.on('put', (kv) => {
    hosts.set(kv.key.toString(), kv.value.toString());
    onRevision(Number(kv.mod_revision));
  });
  watcher.on('delete', (kv) => {
    hosts.delete(kv.key.toString());
    onRevision(Number(kv.mod_revision));
  });
}

/** What receiving alone costs on this transport: bytes are counted, nothing is decoded. */
function floor(...[etcd, onRevision]: Parameters<Subject>): Promise<void> {
  return new Promise((resolve) => {
    const { watch } = stockMethods();
    const stream = serviceClient(etcd, 'Watch').makeBidiStreamRequest(
      watch.path,
      watch.requestSerialize,
      (bytes) => bytes,
      {},
    );
    let bytesSeen = 0;
    stream.on('error', () => undefined);
    stream.on('data', (bytes) => {
      if (kept.state === undefined) resolve();
      bytesSeen += bytes.length;
      kept.state = bytesSeen;
      onRevision(0);
    });
    const end = PREFIX.slice(0, -1) + '0';
    stream.write({ create_request: { key: Buffer.from(PREFIX), range_end: Buffer.from(end) } });
  });
}

async function getAll(etcd: Etcd3): Promise<{ hosts: Map<string, string>; startRevision: string }> {
  const response = await etcd.getAll().prefix(PREFIX).exec();
  return {
    hosts: new Map(response.kvs.map((kv) => [kv.key.toString(), kv.value.toString()])),
    startRevision: String(Number(response.header.revision) + 1),
  };
}
