// A provider as its own process: prints its states, and leaves when its standard input says `leave` or ends.
import { Etcd3 } from 'etcd3';
import { register$ } from '../../src/registration/register.ts';

const [host = '', key = '', ttlSeconds = '5', mode] = process.argv.slice(2);
const client = new Etcd3({ hosts: host });
const subscription = register$(client, key, 'provider', { ttlSeconds: Number(ttlSeconds) }).subscribe((state) => {
  // eslint-disable-next-line no-console -- it is how this process tells its states
  console.log(JSON.stringify(state));
});
process.stdin.once('data', () => {
  if (mode === 'close') client.close();
  subscription.unsubscribe();
  // Nothing else of ours may keep this process alive now.
  process.stdin.destroy();
});
process.stdin.once('end', () => {
  process.exit(1);
});
