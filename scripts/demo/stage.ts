import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Etcd3 } from 'etcd3';
import * as rx from 'rxjs';
import { roundRobin, watchKey$, watchPrefix$, watchPrefixState$, type Selector } from 'rx-etcd';
import type { Report } from './provider.ts';
import type { Screen } from './screen.ts';

/** A request that was answered, and how many hosts it found dead before. */
export interface Served {
  readonly name: string;
  readonly greeting: string | undefined;
  readonly dead: number;
}

const WITHIN_MS = 60_000;
const latest = { bufferSize: 1, refCount: true };

/** The consumer, the providers' processes, and a look into etcd past this library. */
export function openStage(screen: Screen, etcdHosts: string[], prefix: string, ttlSeconds: number) {
  const over$ = new rx.Subject<void>();
  const etcd = new Etcd3({ hosts: etcdHosts });
  const providers = new Map<string, ReturnType<typeof startProvider>>();
  const answered = new Map<string, number>();
  const hosts$ = watchPrefix$(etcd, `${prefix}hosts/`).pipe(rx.shareReplay(latest));
  const state$ = watchPrefixState$(etcd, `${prefix}hosts/`).pipe(rx.shareReplay(latest));
  // Shared, so that all requests follow one rotation.
  const selector$ = hosts$.pipe(roundRobin(), rx.shareReplay(latest));
  let rows: string[] = [];
  follow(state$, (state) => {
    const hosts = state.status === 'pending' ? [] : [...state.snapshot];
    rows = [`── hosts (${state.status}) ──`, ...hosts.map(([key, host]) => `${nameOf(key)}  ${host}`)];
  });
  screen.standing = () => rows.map((row) => `${row}  ${answered.get(row.slice(0, 1)) ?? ''}`);

  function follow<T>(source$: rx.Observable<T>, next: (value: T) => void): rx.Subscription {
    const error = (reason: unknown): void => {
      screen.check(false, String(reason));
    };
    return source$.pipe(rx.takeUntil(over$)).subscribe({ next, error });
  }

  function startProvider(name: string) {
    const script = fileURLToPath(new URL('provider.ts', import.meta.url));
    const args = ['--import', 'tsx', script, name, prefix, String(ttlSeconds), etcdHosts.join()];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    screen.say(name, `starts as process ${child.pid}`);
    const statuses: string[] = [];
    const registered$ = new rx.ReplaySubject<void>(1);
    const greeting$ = new rx.ReplaySubject<string | undefined>(1);
    child.on('message', (report: Report) => {
      if ('greeting' in report) {
        screen.say(name, `hears: the greeting is ${report.greeting ?? 'not set'}`);
        greeting$.next(report.greeting);
        return;
      }
      screen.say(name, `${report.status}${report.leaseId === undefined ? '' : ` under lease ${report.leaseId}`}`);
      statuses.push(report.status);
      if (report.status === 'registered') registered$.next();
    });
    const ended = once(child, 'exit').then(([code, signal]) => {
      providers.delete(name);
      return (signal ?? code) as string | number;
    });
    return { child, statuses, registered$, greeting$, ended };
  }

  /** One request: to the next host, and to the one after it when that is dead. */
  function request$(selector: Selector<string>): rx.Observable<Served> {
    let dead = -1;
    return rx
      .defer(async () => {
        dead += 1;
        const response = await fetch(`http://${selector.pick() ?? 'nobody'}/`, { signal: AbortSignal.timeout(2000) });
        const served = { ...((await response.json()) as Served), dead };
        answered.set(served.name, (answered.get(served.name) ?? 0) + 1);
        return served;
      })
      .pipe(rx.retry(5));
  }

  const stage = {
    hosts$,
    state$,
    providers,
    greeting$: watchKey$(etcd, `${prefix}greeting`),
    follow,

    /** The first value that fits; it throws after a minute, and says what it waited for. */
    until<T>(source$: rx.Observable<T>, what: string, fits: (value: T) => boolean = () => true): Promise<T> {
      screen.waiting = what;
      const late$ = rx.timer(WITHIN_MS).pipe(rx.map(() => new Error(`not within ${WITHIN_MS} ms: ${what}`)));
      const fail$ = rx.merge(late$, over$.pipe(rx.map(() => new Error('interrupted'))));
      return rx.firstValueFrom(
        rx.merge(source$.pipe(rx.filter(fits)), fail$.pipe(rx.mergeMap((error) => rx.throwError(() => error)))),
      );
    },
    pause: (ms: number, what: string) => stage.until(rx.timer(ms), what),
    async start(...names: string[]) {
      for (const name of names) providers.set(name, startProvider(name));
      for (const name of names) await stage.until(stage.provider(name).registered$, `${name} to be registered`);
    },
    provider(name: string) {
      const provider = providers.get(name);
      if (provider === undefined) throw new Error(`${name} does not run`);
      return provider;
    },
    /** Ends a provider; gives how long the consumer took to notice, and how its process ended. */
    async end(name: string, signal: NodeJS.Signals) {
      const { child, ended } = stage.provider(name);
      const sinceMs = screen.nowMs();
      child.kill(signal);
      await stage.until(hosts$, `${name} to be gone`, (hosts) => ![...hosts.keys()].map(nameOf).includes(name));
      return { tookMs: screen.nowMs() - sinceMs, code: await ended };
    },
    requests$: (everyMs: number) =>
      rx.interval(everyMs).pipe(
        rx.withLatestFrom(selector$),
        rx.concatMap(([, selector]) => request$(selector)),
      ),
    /** Sends requests until it is called, and collects the answers. */
    traffic() {
      const served: Served[] = [];
      const sending = follow(stage.requests$(50), (one) => served.push(one));
      return () => {
        sending.unsubscribe();
        const names = [...new Set(served.map(({ name }) => name))].sort().join(' ');
        return { count: served.length, names, dead: served.reduce((sum, { dead }) => sum + dead, 0) };
      };
    },
    /** Uses a client of etcd3 once, past this library. */
    async onEtcd<T>(use: (client: Etcd3) => PromiseLike<T>): Promise<T> {
      const client = new Etcd3({ hosts: etcdHosts });
      return Promise.resolve(use(client)).finally(() => {
        client.close();
      });
    },
    greet: (greeting: string) => stage.onEtcd((client) => client.put(`${prefix}greeting`).value(greeting)),
    async registrations() {
      const { kvs } = await stage.onEtcd((client) => client.getAll().prefix(`${prefix}hosts/`).exec());
      return kvs.map(({ key, lease, create_revision: created }) => ({
        lease,
        line: `${nameOf(key.toString())} under lease ${lease}, created at revision ${created}`,
      }));
    },
    /** Ends all that was started here, and leaves nothing of the demo in etcd. */
    async close() {
      over$.next();
      over$.complete();
      const left = [...providers.values()];
      for (const { child } of left) child.kill('SIGTERM');
      const all = Promise.all(left.map(({ ended }) => ended));
      await Promise.race([all, rx.firstValueFrom(rx.timer(3000))]);
      for (const { child } of left) child.kill('SIGKILL');
      await all;
      const cleaned = stage.onEtcd((client) => client.delete().prefix(prefix)).catch(() => undefined);
      await Promise.race([cleaned, rx.firstValueFrom(rx.timer(3000))]);
    },
  };
  return stage;
}

/** The last part of a key. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
