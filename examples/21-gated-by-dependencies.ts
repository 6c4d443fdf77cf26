// Registered only while what I depend on is there: my database answers, and the auth service has a host.
import { Etcd3 } from 'etcd3';
import { BehaviorSubject, Subject, combineLatest, map } from 'rxjs';
import { register$, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
await etcd.delete().prefix('/examples/21/');

const database$ = new BehaviorSubject(true);
const auth$ = watchPrefix$(etcd, '/examples/21/auth/').pipe(map((hosts) => hosts.size > 0));
const ready$ = combineLatest([database$, auth$]).pipe(map((all) => all.every(Boolean)));
const until = new Subject<void>();

// The world around it: the auth service comes up, then the database goes away and comes back.
const world = [
  () => void etcd.put('/examples/21/auth/b1').value('10.0.0.9:8080').exec(),
  () => database$.next(false),
  () => database$.next(true),
  () => until.next(),
];

register$(etcd, '/examples/21/shop/a1', '10.0.0.7:8080', { ttlSeconds: 10, ready: ready$, until }).subscribe(
  (state) => {
    console.log(state.status);
    if (state.status === 'withdrawn' || state.status === 'registered') world.shift()?.();
  },
);

// Output:
//   registering
//   withdrawn
//   registered
//   withdrawn
//   registered
//   deregistered
