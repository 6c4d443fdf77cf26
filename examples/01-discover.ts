// Who is there? What etcd holds under a prefix, as an immutable Map: a new one for every change.
import { Etcd3 } from 'etcd3';
import { takeWhile } from 'rxjs';
import { watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/01/';
await etcd.delete().prefix(prefix);

watchPrefix$(etcd, prefix)
  .pipe(takeWhile((hosts) => hosts.size < 2, true))
  .subscribe((hosts) => {
    console.log(`at revision ${hosts.revision}:`, [...hosts.values()]);
  });

// Anybody may write there: other programs, other languages, etcdctl.
await etcd.put(`${prefix}a1`).value('10.0.0.7:8080');
await etcd.put(`${prefix}a2`).value('10.0.0.8:8080');

// Output:
//   …
//   at revision …: [ '10.0.0.7:8080', '10.0.0.8:8080' ]
