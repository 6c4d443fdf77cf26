// Several keys, one lease, all or nothing: no client ever sees one of them without the other.
import { Etcd3 } from 'etcd3';
import { takeWhile } from 'rxjs';
import { register$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });

register$(etcd, { '/examples/24/user': '10.0.0.7:8080', '/examples/24/friend': '10.0.0.7:8081' }, { ttlSeconds: 10 })
  .pipe(takeWhile((state) => state.status !== 'registered', true))
  .subscribe((state) => {
    if (state.status === 'registered') console.log(Object.fromEntries(state.entries));
  });

// Output:
//   …
//     '/examples/24/user': '10.0.0.7:8080',
//     '/examples/24/friend': '10.0.0.7:8081'
//   …
