// How well do I know it? The same snapshots with their health: stop and start etcd meanwhile. Ctrl-C ends it.
import { Etcd3 } from 'etcd3';
import { fromEvent, takeUntil } from 'rxjs';
import { watchPrefixState$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });

watchPrefixState$(etcd, '/examples/06/')
  .pipe(takeUntil(fromEvent(process, 'SIGINT')))
  .subscribe((state) => {
    switch (state.status) {
      case 'pending':
        console.log(`pending: ${state.listed} keys listed so far; not known yet is not the same as empty`);
        break;
      case 'live':
        console.log(
          `live: ${state.snapshot.size} hosts${state.resync === undefined ? '' : `, listed anew: ${state.resync}`}`,
        );
        break;
      case 'stale':
        console.log(`stale: the last known ${state.snapshot.size} hosts are kept; ${state.cause.message}`);
        break;
    }
  });

// Output:
//   pending: 0 keys listed so far; not known yet is not the same as empty
//   …
//   live: 0 hosts
//   stale: the last known 0 hosts are kept; …
//   …
//   live: 0 hosts
