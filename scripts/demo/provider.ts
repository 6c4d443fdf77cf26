// One provider, a process of its own: an HTTP server that is in etcd for as long as it runs.
//
//   node --import tsx scripts/demo/provider.ts <name> <prefix> <ttlSeconds>      (ETCD_HOSTS says where etcd is)
//
// It leaves in order on SIGTERM, on SIGINT, and when the demo is gone; then it ends by itself.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Etcd3 } from 'etcd3';
import { delay, fromEvent, map, merge, of, take, tap } from 'rxjs';
import { register$, watchPrefix$ } from 'rx-etcd';
import { hostsPrefix, hostsOfEtcd, settingsPrefix, greetingKey, type Answer, type Report } from './places.ts';

const [name = '', prefix = '', ttlSeconds = ''] = process.argv.slice(2);
const etcd = new Etcd3({ hosts: hostsOfEtcd() });

let greeting: string | undefined;
let answered = 0;
const server = createServer((_request, response) => {
  answered += 1;
  response.setHeader('connection', 'close');
  response.end(JSON.stringify({ name, greeting, answered } satisfies Answer));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;

const reports$ = merge(
  register$(etcd, `${hostsPrefix(prefix)}${name}`, address, {
    ttlSeconds: Number(ttlSeconds),
  }).pipe(
    map((state): Report => ({
      type: 'registration',
      status: state.status,
      ...(state.status === 'registered' && { leaseId: state.leaseId }),
    })),
  ),
  watchPrefix$(etcd, settingsPrefix(prefix)).pipe(
    map((settings): Report => {
      greeting = settings.get(greetingKey(prefix));
      return { type: 'heard', greeting };
    }),
  ),
);
const running = reports$.subscribe((report) => {
  if (process.connected) process.send?.(report);
});

// The demo may have gone before this process was ready to notice.
const demoGone$ = process.connected ? fromEvent(process, 'disconnect') : of(undefined);
const leave$ = merge(fromEvent(process, 'SIGTERM'), fromEvent(process, 'SIGINT'), demoGone$).pipe(take(1));
// First out of etcd, then a moment for those who have not heard yet, then closed.
leave$
  .pipe(
    tap(() => {
      running.unsubscribe();
    }),
    delay(200),
  )
  .subscribe(() => {
    server.close();
    if (process.connected) process.disconnect();
  });
