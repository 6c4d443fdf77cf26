// The registered value may change: each value goes under the same lease, the latest wins, and the end deregisters.
import { Etcd3 } from 'etcd3';
import { distinctUntilChanged, endWith, map, take, timer } from 'rxjs';
import { json, register$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });

// A host that tells how busy it is, in steps, so that not every change of the load is written.
const host$ = timer(0, 200).pipe(
  map((tick) => ({ address: '10.0.0.7:8080', load: Math.floor(tick / 2) })),
  distinctUntilChanged((a, b) => a.load === b.load),
  take(3),
);

register$(etcd, '/examples/22/a1', host$, { ttlSeconds: 10, codec: json<{ address: string; load: number }>() })
  .pipe(
    map((state) => (state.status === 'registered' ? `registered with load ${state.value.load}` : state.status)),
    endWith('complete'),
  )
  .subscribe((line) => {
    console.log(line);
  });

// Output:
//   registering
//   registered with load 0
//   registered with load 1
//   …
//   deregistered
//   complete
