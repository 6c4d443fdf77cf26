// One key, many readers: a setting that every process follows. Keys and values are UTF-8.
import { Etcd3 } from 'etcd3';
import { takeWhile } from 'rxjs';
import { watchKey$ } from 'rx-etcd';

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const key = '/examples/04/用户/name';
await etcd.put(key).value('小王');

watchKey$(etcd, key)
  .pipe(takeWhile((name) => name !== '小李', true))
  .subscribe((name) => {
    console.log(name);
    if (name === '小王') void etcd.put(key).value('小李').exec();
  });

// Output:
//   小王
//   小李
