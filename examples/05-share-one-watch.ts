// One watch, many subscribers. watchPrefix$ is cold: each subscription lists and watches for itself. Shared, there
// is one watcher on the server; a late subscriber gets the latest snapshot at once; the last to leave ends it.
import { Etcd3 } from 'etcd3';
import { defer, finalize, firstValueFrom, shareReplay } from 'rxjs';
import { watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/05/';
await etcd.put(`${prefix}a1`).value('10.0.0.7:8080');

const hosts$ = defer(() => {
  console.log('the watch begins');
  return watchPrefix$(etcd, prefix);
}).pipe(
  finalize(() => {
    console.log('the watch ends');
  }),
  // Not without refCount: the watch would stay after its last subscriber.
  shareReplay({ bufferSize: 1, refCount: true }),
);

const early = hosts$.subscribe();
await firstValueFrom(hosts$);

const late = hosts$.subscribe((hosts) => {
  console.log('a late one has, at once:', [...hosts.values()]);
});
console.log('subscribed');

early.unsubscribe();
console.log('one has left');
late.unsubscribe();

// Output:
//   the watch begins
//   a late one has, at once: [ '10.0.0.7:8080' ]
//   subscribed
//   one has left
//   the watch ends
