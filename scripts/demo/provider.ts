// One provider, a process of its own: an HTTP server that is in etcd for as long as it runs.
// It leaves in order on SIGTERM, on SIGINT, and when the demo has gone; then the process ends by itself.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import { fromEvent, merge, of, take } from 'rxjs';
import { register$, watchKey$ } from 'rx-etcd';

/** What a provider tells the demo. */
export type Report = { readonly status: string; readonly leaseId?: string } | { readonly greeting: string | undefined };

const [name = '', prefix = '', ttlSeconds = '', hosts = ''] = process.argv.slice(2);
const etcd = new Etcd3({ hosts: hosts.split(',') });
let greeting: string | undefined;
const server = createServer((_request, response) => {
  response.setHeader('connection', 'close').end(JSON.stringify({ name, greeting }));
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;

const tell = (report: Report): unknown => process.connected && process.send?.(report);
const running = register$(etcd, `${prefix}hosts/${name}`, address, { ttlSeconds: Number(ttlSeconds) }).subscribe(tell);
running.add(watchKey$(etcd, `${prefix}greeting`).subscribe((next) => tell({ greeting: (greeting = next) })));

// The demo may have gone before this process was ready to notice.
const gone$ = process.connected ? fromEvent(process, 'disconnect') : of(undefined);
merge(gone$, fromEvent(process, 'SIGTERM'), fromEvent(process, 'SIGINT'))
  .pipe(take(1))
  .subscribe(() => {
    running.unsubscribe();
    // For consumers that have not heard yet.
    setTimeout(() => server.close(), 200);
    if (process.connected) process.disconnect();
  });
