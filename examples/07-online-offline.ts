// Callbacks for who comes and who goes: the difference between snapshots, at the cost of the difference.
import { Etcd3 } from 'etcd3';
import { BehaviorSubject } from 'rxjs';
import { changes, register$, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/07/';

// A value may change under the same registration.
const address$ = new BehaviorSubject('10.0.0.7:8080');
const provider = register$(etcd, `${prefix}a1`, address$, { ttlSeconds: 10 }).subscribe();

const discovery = watchPrefix$(etcd, prefix)
  .pipe(changes())
  .subscribe((change) => {
    switch (change.type) {
      case 'added':
        online(change.key, change.value);
        break;
      case 'updated':
        moved(change.key, change.previous, change.value);
        break;
      case 'removed':
        offline(change.key, change.previous);
        break;
    }
  });

function online(key: string, host: string): void {
  console.log(`online: ${key} at ${host}`);
  address$.next('10.0.0.8:8080');
}

function moved(key: string, from: string, to: string): void {
  console.log(`moved: ${key} from ${from} to ${to}`);
  provider.unsubscribe();
}

function offline(key: string, host: string): void {
  console.log(`offline: ${key}, which was at ${host}`);
  discovery.unsubscribe();
}

// Output:
//   online: /examples/07/a1 at 10.0.0.7:8080
//   moved: /examples/07/a1 from 10.0.0.7:8080 to 10.0.0.8:8080
//   offline: /examples/07/a1, which was at 10.0.0.8:8080
