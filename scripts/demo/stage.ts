import { Etcd3 } from 'etcd3';
import { Subject, Subscription, firstValueFrom, takeUntil, timeout, timer, type Observable } from 'rxjs';
import type { EtcdServer } from '../../test/support/etcd-server.ts';
import { consumerOf, type Consumer, type Served } from './consumer.ts';
import { startProvider, type Provider } from './fleet.ts';
import { hostsPrefix } from './places.ts';
import type { Timeline } from './timeline.ts';

/** What the acts play on. */
export interface Stage {
  readonly timeline: Timeline;
  readonly consumer: Consumer;
  readonly prefix: string;
  readonly ttlSeconds: number;
  /** The etcd of this demo; undefined on somebody else's. */
  readonly server: EtcdServer | undefined;
  /** Starts providers, each in a process of its own. */
  start(...names: string[]): Provider[];
  /** The providers whose processes run. */
  running(): Provider[];
  /** What etcd itself says of the registrations, asked past this library. */
  registrations(): Promise<string[]>;
  /** Uses a client of etcd3 once. */
  onEtcd<T>(use: (client: Etcd3) => PromiseLike<T>): Promise<T>;
  /** The first value, or a failure that says what was waited for. */
  first<T>(source$: Observable<T>, what: string, withinMs?: number): Promise<T>;
  /** Sends requests until it is stopped, and collects what was answered. */
  traffic(): { stop(): Served[] };
  /** Subscribes for as long as the demo runs. */
  follow<T>(source$: Observable<T>, next: (value: T) => void): Subscription;
  pause(ms: number): Promise<unknown>;
  /** Ends everything that was started here, however far it got. */
  clear(): Promise<void>;
}

export interface StageOptions {
  readonly timeline: Timeline;
  readonly etcdHosts: readonly string[];
  readonly server: EtcdServer | undefined;
  readonly prefix: string;
  readonly ttlSeconds: number;
}

/** For what takes as long as the machine needs to start processes. */
const PATIENCE_MS = 20_000;

export function setStage(options: StageOptions): Stage {
  const { timeline, etcdHosts, server, prefix, ttlSeconds } = options;
  const fleet: Provider[] = [];
  const followed = new Subscription();
  const over$ = new Subject<void>();
  let over = false;
  const stage: Stage = {
    timeline,
    prefix,
    ttlSeconds,
    server,
    consumer: consumerOf(new Etcd3({ hosts: [...etcdHosts] }), prefix),
    start(...names) {
      if (over) throw new Error('the demo is over');
      const started = names.map((name) => startProvider({ name, prefix, ttlSeconds, etcdHosts }));
      fleet.push(...started);
      for (const { name, pid, reports$ } of started) {
        timeline.say(name, `starts as process ${pid}`);
        stage.follow(reports$, (report) => {
          if (report.type === 'heard') timeline.say(name, `hears: the greeting is ${report.greeting ?? 'not set'}`);
          else
            timeline.say(
              name,
              `${report.status}${report.leaseId === undefined ? '' : ` under lease ${report.leaseId}`}`,
            );
        });
      }
      return started;
    },
    running: () => fleet.filter((provider) => provider.running),
    registrations: () =>
      stage.onEtcd(async (client) => {
        const { kvs } = await client.getAll().prefix(hostsPrefix(prefix)).exec();
        return kvs.map(
          (kv) => `${nameOf(kv.key.toString())} under lease ${kv.lease}, created at revision ${kv.create_revision}`,
        );
      }),
    async onEtcd(use) {
      const client = new Etcd3({ hosts: [...etcdHosts] });
      try {
        return await use(client);
      } finally {
        client.close();
      }
    },
    first: (source$, what, withinMs = PATIENCE_MS) => {
      const tooLate = (): never => {
        throw new Error(`${what}: not within ${withinMs} ms`);
      };
      return firstValueFrom(source$.pipe(timeout({ first: withinMs, with: tooLate }), takeUntil(over$)));
    },
    traffic() {
      const served: Served[] = [];
      const subscription = stage.follow(stage.consumer.requests$(50), (answer) => served.push(answer));
      return {
        stop() {
          subscription.unsubscribe();
          return served;
        },
      };
    },
    follow(source$, next) {
      const subscription = source$.subscribe({
        next,
        error: (error: unknown) => {
          timeline.check(false, String(error));
        },
      });
      followed.add(subscription);
      return subscription;
    },
    pause: (ms) => firstValueFrom(timer(ms).pipe(takeUntil(over$))),
    async clear() {
      over = true;
      over$.next();
      followed.unsubscribe();
      const alive = stage.running();
      const ended = Promise.all(alive.map((provider) => provider.ended));
      for (const provider of alive) provider.kill('SIGTERM');
      await Promise.race([ended, firstValueFrom(timer(3000))]);
      for (const provider of alive) provider.kill('SIGKILL');
      await ended;
      // On somebody else's etcd nothing of the demo may stay, however it went.
      if (server !== undefined) return;
      const cleaned = stage.onEtcd((client) => client.delete().prefix(prefix)).catch(() => undefined);
      await Promise.race([cleaned, firstValueFrom(timer(3000))]);
    },
  };
  return stage;
}

/** The last part of a key. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
