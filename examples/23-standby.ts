// One owner: the first has the key, the second stands by and takes over when the first goes.
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, share } from 'rxjs';
import { register$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const key = '/examples/23/leader';
await etcd.delete().key(key);

const candidate$ = (name: string) => register$(etcd, key, name, { ttlSeconds: 10, onConflict: 'wait' }).pipe(share());

const first$ = candidate$('first');
const first = first$.subscribe();
await firstValueFrom(first$.pipe(filter((state) => state.status === 'registered')));

const second$ = candidate$('second');
const second = second$.subscribe();
await firstValueFrom(second$.pipe(filter((state) => state.status === 'registering' && state.cause !== undefined)));
console.log('while the second stands by:', await etcd.get(key));

first.unsubscribe();
await firstValueFrom(second$.pipe(filter((state) => state.status === 'registered')));
console.log('when the first has gone:', await etcd.get(key));
second.unsubscribe();

// Output:
//   while the second stands by: first
//   when the first has gone: second
