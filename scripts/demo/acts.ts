import { filter, map, take, toArray, type Observable } from 'rxjs';
import type { PrefixState } from 'rx-etcd';
import type { Served } from './consumer.ts';
import type { Provider } from './fleet.ts';
import { greetingKey, hostsPrefix } from './places.ts';
import { nameOf, type Stage } from './stage.ts';

/** The acts in their order. Each ends by checking what it showed. */
export const acts: readonly ((stage: Stage) => Promise<void>)[] = [
  threeComeUp,
  requestsInTurn,
  oneLeaves,
  oneDies,
  etcdDies,
  aSettingChanges,
  theEnd,
];

async function threeComeUp(stage: Stage): Promise<void> {
  const { timeline, consumer } = stage;
  timeline.act('Three providers come up, each a process of its own');
  await stage.onEtcd((client) => client.put(greetingKey(stage.prefix)).value('小王'));
  stage.follow(consumer.changes$, (change) => {
    timeline.say(
      'consumer',
      change.type === 'removed' ? `offline: ${nameOf(change.key)}` : `online: ${nameOf(change.key)} at ${change.value}`,
    );
  });
  const started = stage.start('a', 'b', 'c');
  await registered(stage, started);
  const hosts = await stage.first(
    consumer.hostsWhere$(({ size }) => size === 3),
    'three hosts',
  );
  timeline.check([...hosts.keys()].map(nameOf).join() === 'a,b,c', 'the consumer sees a, b and c');
  const leases = (await stage.registrations()).map((line) => /lease (\d+)/.exec(line)?.[1]);
  timeline.check(
    leases.length === 3 && new Set(leases).size === 3 && !leases.includes('0'),
    'in etcd each is under a lease of its own',
  );
}

async function requestsInTurn(stage: Stage): Promise<void> {
  const { timeline, consumer } = stage;
  timeline.act('A consumer spreads its requests over them in turn');
  const answers = await stage.first(consumer.requests$(20).pipe(take(12), toArray()), '12 answers');
  const order = answers.map(({ name }) => name).join(' ');
  timeline.say('consumer', `12 requests, answered by ${order}`);
  timeline.check(/^(a b c |b c a |c a b )\1{3}$/.test(`${order} `), 'in turn, each of the three four times');
}

async function oneLeaves(stage: Stage): Promise<void> {
  const { timeline } = stage;
  timeline.act('One leaves: b gets SIGTERM, and unsubscribes');
  const b = theOne(stage, 'b');
  const sinceMs = timeline.nowMs();
  b.kill('SIGTERM');
  await gone(stage, 'b');
  const tookMs = timeline.nowMs() - sinceMs;
  timeline.check(
    tookMs < 1000,
    `the consumer knows it ${tookMs} ms later; no need to wait for the TTL of ${stage.ttlSeconds} s`,
  );
  timeline.check((await stage.registrations()).length === 2, 'in etcd nothing is left of b');
  timeline.check((await b.ended) === 0, 'its process has ended by itself');
}

async function oneDies(stage: Stage): Promise<void> {
  const { timeline, ttlSeconds } = stage;
  timeline.act('One dies: c gets SIGKILL');
  const traffic = stage.traffic();
  const sinceMs = timeline.nowMs();
  theOne(stage, 'c').kill('SIGKILL');
  timeline.say('c', 'is dead, and could tell nobody');
  await gone(stage, 'c');
  const tookMs = timeline.nowMs() - sinceMs;
  const served = traffic.stop();
  const deadEnds = served.reduce((sum, { dead }) => sum + dead, 0);
  timeline.check(
    tookMs <= (ttlSeconds + 2) * 1000,
    `the consumer knows it ${tookMs} ms later, the TTL being ${ttlSeconds} s`,
  );
  timeline.check(
    allAnswered(served, ['a']),
    `${served.length} requests meanwhile, all answered by a; ${deadEnds} of them had asked c first`,
  );
}

async function etcdDies(stage: Stage): Promise<void> {
  const { timeline, consumer, server } = stage;
  timeline.act('etcd itself dies: kill -9, and a restart');
  const back = stage.start('b', 'c');
  await registered(stage, back);
  const before = await stage.first(
    consumer.hostsWhere$(({ size }) => size === 3),
    'three hosts again',
  );
  if (server === undefined) {
    timeline.say('etcd', 'is not ours to kill, as ETCD_HOSTS is set: the rest of this act is left out');
    return;
  }
  const registeredBefore = await stage.registrations();
  for (const line of registeredBefore) timeline.say('etcd', `has ${line}`);
  const traffic = stage.traffic();
  const health = followHealth(stage);
  const live$ = consumer.state$.pipe(filter(({ status }) => status === 'live'));
  await stage.first(live$, 'the consumer live');
  timeline.say('etcd', 'is killed');
  await server.kill();
  await stage.pause(1000);
  await server.start();
  timeline.say('etcd', 'runs again');
  await stage.first(live$, 'the consumer live again');
  timeline.say('', 'now for a TTL and a second more: what nobody renews would be gone by then');
  await stage.pause((stage.ttlSeconds + 1) * 1000);

  const served = traffic.stop();
  health.stop();
  const after = await stage.first(consumer.hosts$, 'the hosts');
  timeline.check(
    health.seen.includes('stale with 3'),
    'the consumer knew that etcd was away, and kept its three hosts',
  );
  timeline.check(after === before, 'it has not seen one change: it holds the very same snapshot');
  timeline.check(
    allAnswered(served, ['a', 'b', 'c']),
    `${served.length} requests in all that time, all answered, by a, b and c`,
  );
  const registeredAfter = await stage.registrations();
  timeline.check(
    registeredAfter.join() === registeredBefore.join(),
    'nothing is registered twice: the same leases, the same create revisions',
  );
  timeline.check(
    stage.running().every(({ statuses }) => !statuses.includes('lost')),
    'no provider lost its registration for a moment',
  );
  const leases = await stage.onEtcd((client) => client.leaseClient.leaseLeases());
  timeline.check(leases.leases.length === 3, 'and etcd has no lease but these three');
}

async function aSettingChanges(stage: Stage): Promise<void> {
  const { timeline, consumer, prefix } = stage;
  timeline.act('A setting changes: from 小王 to 小李');
  const watchers: [name: string, greeting$: Observable<string | undefined>][] = [
    ['consumer', consumer.greeting$],
    ...stage.running().map(({ name, heard$ }): [string, Observable<string | undefined>] => [name, heard$]),
  ];
  for (const [name, greeting$] of watchers) {
    const greeting = await stage.first(greeting$, `${name} has heard of the greeting`);
    timeline.check(greeting === '小王', `${name} knows ${greeting}`);
  }
  const sinceMs = timeline.nowMs();
  const heard = watchers.map(async ([name, greeting$]) => {
    await stage.first(greeting$.pipe(filter((greeting) => greeting === '小李')), `${name} has heard of the change`);
    return `${name} ${timeline.nowMs() - sinceMs} ms`;
  });
  await stage.onEtcd((client) => client.put(greetingKey(prefix)).value('小李'));
  timeline.check(
    (await Promise.all(heard)).length === watchers.length,
    `every watcher has heard of 小李: ${(await Promise.all(heard)).join(', ')}`,
  );
  const answers$ = consumer.requests$(20).pipe(
    map(({ greeting }) => greeting),
    take(6),
    toArray(),
  );
  const answers = await stage.first(answers$, '6 answers');
  timeline.check(
    answers.every((greeting) => greeting === '小李'),
    `and it is what the providers answer with: ${answers.join(' ')}`,
  );
}

async function theEnd(stage: Stage): Promise<void> {
  const { timeline, consumer } = stage;
  timeline.act('The end');
  const left = stage.running();
  for (const provider of left) provider.kill('SIGTERM');
  await stage.first(
    consumer.hostsWhere$(({ size }) => size === 0),
    'no hosts',
  );
  const codes = await Promise.all(left.map(({ ended }) => ended));
  timeline.check(
    codes.every((code) => code === 0),
    'every provider has left, and ended by itself',
  );
  timeline.check((await stage.registrations()).length === 0, 'in etcd nothing is left of them');
}

async function registered(stage: Stage, providers: readonly Provider[]): Promise<void> {
  await Promise.all(providers.map(({ name, registered$ }) => stage.first(registered$, `${name} registered`)));
}

function gone(stage: Stage, name: string): Promise<unknown> {
  return stage.first(
    stage.consumer.hostsWhere$((hosts) => !hosts.has(`${hostsPrefix(stage.prefix)}${name}`)),
    `${name} gone`,
  );
}

function theOne(stage: Stage, name: string): Provider {
  const provider = stage.running().find((candidate) => candidate.name === name);
  if (provider === undefined) throw new Error(`${name} does not run`);
  return provider;
}

function allAnswered(served: readonly Served[], names: readonly string[]): boolean {
  const by = new Set(served.map(({ name }) => name));
  return by.size === names.length && names.every((name) => by.has(name));
}

function followHealth(stage: Stage): { readonly seen: string[]; stop(): void } {
  const seen: string[] = [];
  const subscription = stage.follow(stage.consumer.state$, (state: PrefixState<string>) => {
    if (state.status === 'pending') return;
    seen.push(`${state.status} with ${state.snapshot.size}`);
    stage.timeline.say(
      'consumer',
      `is ${seen.at(-1)} hosts${state.status === 'stale' ? `: ${state.cause.message}` : ''}`,
    );
  });
  return {
    seen,
    stop() {
      subscription.unsubscribe();
    },
  };
}
