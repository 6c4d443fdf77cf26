// One key, many readers: a setting that every process follows. Keys and values are UTF-8.
import { Etcd3 } from 'etcd3';
import { distinctUntilChanged, map, takeWhile } from 'rxjs';
import { watchPrefix$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const key = '/examples/04/用户/name';
await etcd.put(key).value('小王');

// A prefix matches by bytes, and a key is a prefix of itself: ask for exactly this one of what matches.
const name$ = watchPrefix$(etcd, key).pipe(
  map((settings) => settings.get(key)),
  distinctUntilChanged(),
);

name$.pipe(takeWhile((name) => name !== '小李', true)).subscribe((name) => {
  console.log(name);
  if (name === '小王') void etcd.put(key).value('小李').exec();
});

// Output:
//   小王
//   小李
