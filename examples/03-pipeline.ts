// Hosts → selector → host: the live hosts in a pipeline of requests, each request to the next host.
import { Etcd3 } from 'etcd3';
import { concatMap, filter, interval, merge, take, withLatestFrom } from 'rxjs';
import { register$, roundRobin, watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const prefix = '/examples/03/';

const providers = merge(
  ...['10.0.0.7', '10.0.0.8', '10.0.0.9'].map((host) => register$(etcd, `${prefix}${host}`, host, { ttlSeconds: 10 })),
).subscribe();

// Its place in the rotation is a key: it goes on from there when hosts come and go.
const selector$ = watchPrefix$(etcd, prefix).pipe(
  filter((hosts) => hosts.size === 3),
  roundRobin(),
);

// withLatestFrom drops what comes before the first selector; a queue would hold it back instead.
interval(20)
  .pipe(
    withLatestFrom(selector$),
    take(6),
    concatMap(([, selector]) => send(selector.pick())),
  )
  .subscribe({
    next: (answer) => {
      console.log(answer);
    },
    complete: () => {
      providers.unsubscribe();
    },
  });

function send(host: string | undefined): Promise<string> {
  return Promise.resolve(host === undefined ? 'there is no host' : `answer of ${host}`);
}

// Output:
//   answer of 10.0.0.…
//   answer of 10.0.0.…
//   answer of 10.0.0.…
//   answer of 10.0.0.…
//   answer of 10.0.0.…
//   answer of 10.0.0.…
