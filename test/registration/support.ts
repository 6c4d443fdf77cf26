import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Etcd3, type IOptions } from 'etcd3';
import type { Observable, Subscription } from 'rxjs';
import type { RegistrationState } from '../../src/registration/registration-state.ts';
import { type EtcdOptions, type EtcdServer, startEtcd } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { record as recordAll } from '../support/record.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';

type Status = RegistrationState['status'];
type StateOf<S extends Status, T = string> = Extract<RegistrationState<T>, { status: S }>;

/** What a subscription has emitted so far. */
export interface Recording<T = string> {
  readonly states: RegistrationState<T>[];
  readonly statuses: Status[];
  readonly last: RegistrationState<T> | undefined;
  readonly completed: boolean;
  readonly error: unknown;
  readonly subscription: Subscription;
  /** The latest state, once it has this status (and passes the test). */
  reaches<S extends Status>(
    status: S,
    passes?: (state: StateOf<S, T>) => boolean,
    withinMs?: number,
  ): Promise<StateOf<S, T>>;
  /** How many states there are: to look only at what comes after. */
  mark(): number;
}

export function record<T = string>(source$: Observable<RegistrationState<T>>): Recording<T> {
  const recording = recordAll(source$);
  return {
    states: recording.values,
    subscription: recording.subscription,
    get statuses() {
      return recording.values.map(({ status }) => status);
    },
    get last() {
      return recording.last;
    },
    get completed() {
      return recording.completed;
    },
    get error() {
      return recording.error;
    },
    mark: () => recording.values.length,
    reaches<S extends Status>(status: S, passes: (state: StateOf<S, T>) => boolean = () => true, withinMs = 15_000) {
      return recording.reaches(
        (state): state is StateOf<S, T> => state.status === status && passes(state as StateOf<S, T>),
        { withinMs, what: `status ${status}`, show: (state) => state.status },
      );
    },
  };
}

/** A real etcd behind a proxy, a client through the proxy, and one past it to look. */
export interface Stage {
  readonly server: EtcdServer;
  readonly proxy: TcpProxy;
  readonly client: Etcd3;
  readonly admin: Etcd3;
  /** Another client through the proxy, closed with the stage. */
  newClient(options?: Partial<IOptions>): Etcd3;
  /** Every lease there is. */
  leases(): Promise<string[]>;
  /** A key and what it is attached to; `undefined` when there is none. */
  entry(
    key: string,
  ): Promise<{ value: string; lease: string; modRevision: number; createRevision: number } | undefined>;
  stop(): Promise<void>;
}

export async function startStage(options: EtcdOptions = {}): Promise<Stage> {
  const server = await startEtcd(options);
  const proxy = await startProxy(server.clientPort);
  const clients: Etcd3[] = [];
  const admin = new Etcd3({ hosts: server.clientUrl });
  const newClient = (more: Partial<IOptions> = {}): Etcd3 => {
    const client = new Etcd3({ hosts: proxy.url, ...more });
    clients.push(client);
    return client;
  };
  return {
    server,
    proxy,
    admin,
    client: newClient(),
    newClient,
    async leases() {
      return (await admin.leaseClient.leaseLeases()).leases.map(({ ID }) => ID);
    },
    async entry(key) {
      const { kvs } = await admin.kv.range({ key: Buffer.from(key) });
      const [kv] = kvs;
      if (kv === undefined) return undefined;
      return {
        value: kv.value.toString(),
        lease: kv.lease,
        modRevision: Number(kv.mod_revision),
        createRevision: Number(kv.create_revision),
      };
    },
    async stop() {
      for (const client of [...clients, admin]) client.close();
      await proxy.stop();
      await server.stop();
    },
  };
}

/** A provider in a process of its own: see provider.ts. */
export interface Provider {
  readonly child: ChildProcess;
  /** Its states, one a line, as it printed them. */
  readonly states: RegistrationState[];
  readonly exited: Promise<number | null>;
  reaches(status: Status, withinMs?: number): Promise<RegistrationState>;
}

export function startProvider(host: string, key: string, ttlSeconds: number, ...more: string[]): Provider {
  const script = fileURLToPath(new URL('provider.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, host, key, String(ttlSeconds), ...more], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const states: RegistrationState[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => states.push(JSON.parse(line) as RegistrationState));
  return {
    child,
    states,
    exited: once(child, 'exit').then(([code]) => code as number | null),
    reaches: (status, withinMs = 15_000) =>
      eventually(() => (states.at(-1)?.status === status ? states.at(-1) : undefined), {
        withinMs,
        what: `provider ${status}`,
      }),
  };
}
