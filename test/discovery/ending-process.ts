// Run as a process of its own by the tests: watches, does what its arguments say, and should then end by itself.
import { Etcd3 } from 'etcd3';
import { watchPrefixState$ } from '../../src/index.ts';

const [url = '', ...actions] = process.argv.slice(2);
const client = new Etcd3({ hosts: actions.includes('away') ? 'http://127.0.0.1:1' : url });
const subscription = watchPrefixState$(client, 'process/').subscribe({
  next: (state) => {
    const ready = actions.includes('away')
      ? state.status === 'pending' && state.attempt === 2
      : state.status === 'live';
    if (!ready) return;
    for (const action of actions) {
      if (action === 'unsubscribe') subscription.unsubscribe();
      if (action === 'close') client.close();
    }
    process.stdout.write('done\n');
  },
  error: (error: unknown) => {
    process.stdout.write(`${(error as { code: string }).code}\n`);
  },
});
