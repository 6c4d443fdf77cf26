import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ReplaySubject, filter, map, type Observable } from 'rxjs';
import type { Report } from './places.ts';

/** A provider process. */
export interface Provider {
  readonly name: string;
  readonly pid: number | undefined;
  /** All that it has told and will tell; completes when it ends. */
  readonly reports$: Observable<Report>;
  /** The status of each state of its registration so far. */
  readonly statuses: readonly string[];
  readonly running: boolean;
  /** Emits when etcd has confirmed its registration. */
  readonly registered$: Observable<Report>;
  /** The greeting as it has heard of it, the latest first. */
  readonly heard$: Observable<string | undefined>;
  /** Sends a signal. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
}

export interface ProviderOptions {
  readonly name: string;
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly etcdHosts: readonly string[];
}

/** Starts a provider as an operating system process of its own. It ends with this process in any case. */
export function startProvider({ name, prefix, ttlSeconds, etcdHosts }: ProviderOptions): Provider {
  const script = fileURLToPath(new URL('provider.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, name, prefix, String(ttlSeconds)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ETCD_HOSTS: etcdHosts.join(',') },
  });
  const reports = new ReplaySubject<Report>(Infinity);
  const heard = new ReplaySubject<Report>(1);
  const statuses: string[] = [];
  child.on('message', (report: Report) => {
    if (report.type === 'registration') statuses.push(report.status);
    else heard.next(report);
    reports.next(report);
  });
  const ended = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => {
    reports.complete();
    return signal ?? code ?? null;
  });
  return {
    name,
    pid: child.pid,
    reports$: reports.asObservable(),
    statuses,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    heard$: heard.pipe(
      filter((report) => report.type === 'heard'),
      map(({ greeting }) => greeting),
    ),
    registered$: reports.pipe(filter((report) => report.type === 'registration' && report.status === 'registered')),
    kill: (signal) => child.kill(signal),
    ended,
  };
}
