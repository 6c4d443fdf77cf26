// I am here. A key is in etcd for as long as a subscription lasts, and goes with it, however this process ends.
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, share, tap } from 'rxjs';
import { register$, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const key = '/examples/02/a1';

const registration$ = register$(etcd, key, '10.0.0.7:8080', { ttlSeconds: 10 }).pipe(
  tap((state) => {
    console.log(state.status);
  }),
  share(),
);

const subscription = registration$.subscribe();
await firstValueFrom(registration$.pipe(filter((state) => state.status === 'registered')));
console.log('in etcd:', await etcd.get(key));

subscription.unsubscribe();
await firstValueFrom(watchPrefix$(etcd, key).pipe(filter((hosts) => !hosts.has(key))));
console.log('gone');

// Output:
//   registering
//   registered
//   in etcd: 10.0.0.7:8080
//   gone
