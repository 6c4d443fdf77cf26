import { fromEvent, merge, take, timer, toArray } from 'rxjs';
import { changes } from 'rx-etcd';
import { startEtcd } from '../../test/support/etcd-server.ts';
import { Screen } from './screen.ts';
import { nameOf, openStage } from './stage.ts';

const HELP = `The main job once, on real etcd: providers register, a consumer follows them, and things go wrong.

  npm run demo                       on an etcd of its own, in a temporary directory
  ETCD_HOSTS=host:2379 npm run demo  on that one (several: separated by commas), which is then not killed

Each act ends with checks of what it showed. The exit code is 0 only when all of them passed.`;
const TTL = 5;

if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit();
}
const screen = new Screen();
const given = (process.env['ETCD_HOSTS'] ?? '').split(',').filter((host) => host.trim() !== '');
const server = given.length > 0 ? undefined : await startEtcd();
const hosts = server === undefined ? given : [server.clientUrl];
screen.say('etcd', server === undefined ? `is the one at ${given.join()}` : `runs on port ${server.clientPort}`);
const stage = openStage(screen, hosts, `/rx-etcd-demo/${process.pid}/`, TTL);
const { hosts$, state$ } = stage;
const check = screen.check.bind(screen);
const say = screen.say.bind(screen);

const acts: Record<string, () => Promise<void>> = {
  async 'Three providers come up, each a process of its own'() {
    await stage.greet('小王');
    stage.follow(hosts$.pipe(changes()), ({ type, key, ...change }) => {
      const host = 'value' in change && type === 'added' ? ` at ${change.value}` : '';
      say('consumer', `${type === 'removed' ? 'offline' : 'online'}: ${nameOf(key)}${host}`);
    });
    await stage.start('a', 'b', 'c');
    const three = await stage.until(hosts$, 'three hosts', ({ size }) => size === 3);
    check([...three.keys()].map(nameOf).join() === 'a,b,c', 'the consumer sees a, b and c');
    const leases = new Set((await stage.registrations()).map(({ lease }) => lease));
    check(leases.size === 3 && !leases.has('0'), 'in etcd each is under a lease of its own');
  },

  async 'A consumer spreads its requests over them in turn'() {
    const answers = await stage.until(stage.requests$(20).pipe(take(12), toArray()), '12 answers');
    const order = answers.map(({ name }) => name).join(' ');
    say('consumer', `12 requests, answered by ${order}`);
    check(/^(a b c |b c a |c a b )\1{3}$/.test(`${order} `), 'in turn, each of the three four times');
  },

  async 'One leaves: b gets SIGTERM, and unsubscribes'() {
    const { tookMs, code } = await stage.end('b', 'SIGTERM');
    check(tookMs < 1000, `the consumer knows it ${tookMs} ms later; no need to wait for the TTL of ${TTL} s`);
    check((await stage.registrations()).length === 2, 'in etcd nothing is left of b');
    check(code === 0, 'its process has ended by itself');
  },

  async 'One dies: c gets SIGKILL'() {
    const stop = stage.traffic();
    say('c', 'dies, and can tell nobody');
    const { tookMs } = await stage.end('c', 'SIGKILL');
    const { count, names, dead } = stop();
    check(tookMs <= (TTL + 2) * 1000, `the consumer knows it ${tookMs} ms later, the TTL being ${TTL} s`);
    check(names === 'a', `${count} requests meanwhile, all answered by a; ${dead} of them had asked c first`);
  },

  async 'etcd itself dies: kill -9, and a restart'() {
    await stage.start('b', 'c');
    const before = await stage.until(hosts$, 'three hosts again', ({ size }) => size === 3);
    if (server === undefined) {
      say('etcd', 'is not ours to kill, as ETCD_HOSTS is set: the rest of this act is left out');
      return;
    }
    const registeredBefore = await stage.registrations();
    for (const { line } of registeredBefore) say('etcd', `has ${line}`);
    const stop = stage.traffic();
    const seen: string[] = [];
    stage.follow(state$, (state) => {
      if (state.status === 'pending') return;
      seen.push(`${state.status}, hosts: ${state.snapshot.size}`);
      say('consumer', `is ${seen.at(-1)}${state.status === 'stale' ? `: ${state.cause.message}` : ''}`);
    });
    say('etcd', 'is killed');
    await server.kill();
    await stage.pause(1000, 'the restart of etcd');
    await server.start();
    say('etcd', 'runs again');
    await stage.until(state$, 'the consumer to be live again', ({ status }) => status === 'live');
    await stage.pause((TTL + 1) * 1000, 'a TTL and a second: what nobody renews is gone by then');

    const { count, names } = stop();
    const after = await stage.until(hosts$, 'the hosts');
    check(seen.includes('stale, hosts: 3'), 'the consumer knew that etcd was away, and kept its three hosts');
    check(after === before, 'it has not seen one change: it holds the very same snapshot');
    check(names === 'a b c', `${count} requests in all that time, all answered, by a, b and c`);
    const lines = (all: typeof registeredBefore): string => all.map(({ line }) => line).join();
    const same = lines(await stage.registrations()) === lines(registeredBefore);
    check(same, 'nothing is registered twice: the same leases, the same create revisions');
    const lost = [...stage.providers.values()].filter(({ statuses }) => statuses.includes('lost'));
    check(lost.length === 0, 'no provider lost its registration for a moment');
    const { leases } = await stage.onEtcd((client) => client.leaseClient.leaseLeases());
    check(leases.length === 3, 'and etcd has no lease but these three');
  },

  async 'A setting changes: from 小王 to 小李'() {
    const providers = [...stage.providers].map(([name, { greeting$ }]) => [name, greeting$] as const);
    const watchers = [['consumer', stage.greeting$] as const, ...providers];
    for (const [name, greeting$] of watchers) {
      check((await stage.until(greeting$, `${name} to know it`)) === '小王', `${name} knows 小王`);
    }
    const sinceMs = screen.nowMs();
    const heard = watchers.map(async ([name, greeting$]) => {
      await stage.until(greeting$, `${name} to hear of it`, (greeting) => greeting === '小李');
      return `${name} ${screen.nowMs() - sinceMs} ms`;
    });
    await stage.greet('小李');
    const all = await Promise.all(heard);
    check(all.length === 4, `every watcher has heard of 小李: ${all.join(', ')}`);
    const answers = await stage.until(stage.requests$(20).pipe(take(6), toArray()), '6 answers');
    const said = answers.map(({ greeting }) => greeting);
    check(
      said.every((greeting) => greeting === '小李'),
      `and the providers answer with it: ${said.join(' ')}`,
    );
  },

  async 'The end'() {
    const ends = await Promise.all([...stage.providers.keys()].map((name) => stage.end(name, 'SIGTERM')));
    check(ends.length === 3 && ends.every(({ code }) => code === 0), 'every provider has left, and ended by itself');
    check((await stage.registrations()).length === 0, 'in etcd nothing is left of them');
  },
};

const stopping = merge(fromEvent(process, 'SIGINT'), fromEvent(process, 'SIGTERM'), timer(180_000)).subscribe(() => {
  check(false, 'interrupted, or not over after 180 s');
  void stage.close();
});
try {
  for (const [title, act] of Object.entries(acts)) {
    screen.act(title);
    await act();
  }
} catch (error) {
  check(false, error instanceof Error ? error.message : String(error));
}
stopping.unsubscribe();
await stage.close();
await server?.stop();
screen.end();
process.exitCode = screen.failures.length === 0 ? 0 : 1;
// This process ends by itself now. If something of ours kept it alive, this would say so.
setTimeout(() => {
  console.log('✗ something keeps this process alive');
  process.exit(1);
}, 5000).unref();
