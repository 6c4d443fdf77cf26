// Leave in good order: on SIGTERM the key goes, clients have a moment to move away, and the process ends once
// etcd has confirmed that the lease is gone.
import { Etcd3 } from 'etcd3';
import { fromEvent, tap } from 'rxjs';
import { register$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });

const registration$ = register$(etcd, '/examples/20/a1', '10.0.0.7:8080', {
  ttlSeconds: 10,
  until: fromEvent(process, 'SIGTERM'),
  drainMs: 500,
});

registration$
  .pipe(
    tap((state) => {
      console.log(state.status);
      // Here the orchestrator's part: it asks this process to end.
      if (state.status === 'registered') process.kill(process.pid, 'SIGTERM');
    }),
  )
  .subscribe({
    complete: () => {
      console.log('nothing is left in etcd');
      etcd.close();
    },
  });

// Output:
//   registering
//   registered
//   draining
//   deregistered
//   nothing is left in etcd
