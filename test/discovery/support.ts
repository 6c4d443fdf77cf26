import { expect } from 'vitest';
import { Etcd3, type IOptions } from 'etcd3';
import type { Observable } from 'rxjs';
import type { PrefixState, RxEtcdError, Snapshot } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';

/** What a test leaves behind, undone in reverse order. */
export interface Disposer {
  add(undo: () => unknown): void;
  /** A stock client, closed at the end. */
  client(hosts: string | string[], options?: Omit<IOptions, 'hosts'>): Etcd3;
  /** Subscribes, and keeps all that comes; unsubscribed at the end. */
  follow<T>(states$: Observable<PrefixState<T>>): Followed<T>;
  dispose(): Promise<void>;
}

export function disposer(): Disposer {
  const undos: (() => unknown)[] = [];
  const self: Disposer = {
    add(undo) {
      undos.push(undo);
    },
    client(hosts, options = {}) {
      const client = new Etcd3({ hosts, ...options });
      self.add(() => {
        client.close();
      });
      return client;
    },
    follow<T>(states$: Observable<PrefixState<T>>) {
      const followed = follow(states$);
      self.add(() => {
        followed.unsubscribe();
      });
      return followed;
    },
    async dispose() {
      for (const undo of undos.splice(0).reverse()) await undo();
    },
  };
  return self;
}

type Known<T> = Exclude<PrefixState<T>, { status: 'pending' }>;

/** All states that one subscription was given. */
export interface Followed<T> {
  readonly states: readonly PrefixState<T>[];
  readonly last: PrefixState<T>;
  /** Each snapshot once. */
  readonly snapshots: readonly Snapshot<T>[];
  /** Reasons of resyncs, in order. */
  readonly resyncs: readonly string[];
  readonly error: RxEtcdError | undefined;
  readonly statuses: readonly string[];
  /** Resolves when it is live and holds this; the order counts. */
  holds(entries: Readonly<Record<string, T>> | ((snapshot: Snapshot<T>) => boolean), withinMs?: number): Promise<void>;
  becomes(status: PrefixState<T>['status'], withinMs?: number): Promise<void>;
  /** Does something that breaks the connection; resolves when it was stale and is live again. */
  recovers(from: () => unknown, withinMs?: number): Promise<void>;
  failed(withinMs?: number): Promise<RxEtcdError>;
  unsubscribe(): void;
}

function follow<T>(states$: Observable<PrefixState<T>>): Followed<T> {
  const states: PrefixState<T>[] = [];
  let failure: RxEtcdError | undefined;
  const subscription = states$.subscribe({
    next: (state) => states.push(state),
    error: (error: unknown) => {
      failure = error as RxEtcdError;
    },
  });
  const known = (): Known<T>[] => states.filter((state) => state.status !== 'pending');
  const followed: Followed<T> = {
    states,
    get last() {
      return states.at(-1) as PrefixState<T>;
    },
    get snapshots() {
      return [...new Set(known().map((state) => state.snapshot))];
    },
    get resyncs() {
      return known().flatMap((state) => (state.status === 'live' && state.resync !== undefined ? [state.resync] : []));
    },
    get statuses() {
      return states.map((state) => state.status).filter((status, index, all) => status !== all[index - 1]);
    },
    get error() {
      return failure;
    },
    async holds(entries, withinMs = 10_000) {
      await eventually(
        () => {
          if (failure !== undefined) throw failure;
          const { last } = followed;
          if (last.status !== 'live')
            throw new Error(`the state is ${last.status}: ${last.cause?.message ?? 'no cause'}`);
          if (typeof entries === 'function') return entries(last.snapshot);
          expect([...last.snapshot]).toEqual(Object.entries(entries));
          return true;
        },
        { withinMs, what: 'the snapshot' },
      );
    },
    async becomes(status, withinMs = 10_000) {
      await eventually(
        () => {
          if (failure !== undefined) throw failure;
          return followed.last.status === status;
        },
        { withinMs, what: `the state ${status}` },
      );
    },
    async recovers(from, withinMs = 10_000) {
      const before = states.length;
      await from();
      await eventually(
        () => states.slice(before).some(({ status }) => status === 'stale') && followed.last.status === 'live',
        {
          withinMs,
          what: 'an outage and its end',
        },
      );
    },
    async failed(withinMs = 10_000) {
      return eventually(() => failure, { withinMs, what: 'an error' });
    },
    unsubscribe() {
      subscription.unsubscribe();
    },
  };
  return followed;
}

/** etcd through its HTTP gateway: nothing under test has a part in it. Without authentication. */
export interface Store {
  put(key: string | Uint8Array, value?: string): Promise<number>;
  delete(key: string): Promise<number>;
  /** All in one transaction; `undefined` deletes. Gives the revision. */
  write(entries: Iterable<readonly [string | Uint8Array, string | undefined]>): Promise<number>;
  /** Each entry in a revision of its own, many at once. Gives the last revision. */
  putEach(entries: Iterable<readonly [string, string]>): Promise<number>;
  revision(): Promise<number>;
  compact(revision: number): Promise<void>;
  /** The entries under a prefix, at a revision or now. */
  range(prefix: string, revision?: number): Promise<Record<string, string>>;
}

/** @source https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/ */
export function store(clientUrl: string): Store {
  interface Answer {
    readonly header: { readonly revision: string };
    readonly kvs?: readonly { readonly key: string; readonly value?: string }[];
  }
  const post = async (path: string, body: object): Promise<Answer> => {
    const answer = await fetch(`${clientUrl}/v3/kv/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Answer;
  };
  const self: Store = {
    put: (key, value = '1') => self.write([[key, value]]),
    delete: (key) => self.write([[key, undefined]]),
    async write(entries) {
      const success = Array.from(entries, ([key, value]) =>
        value === undefined
          ? { request_delete_range: { key: base64(key) } }
          : { request_put: { key: base64(key), value: base64(value) } },
      );
      return Number((await post('txn', { success })).header.revision);
    },
    async putEach(entries) {
      // Through grpc: ten times as fast as the gateway.
      const client = new Etcd3({ hosts: clientUrl });
      const left = [...entries].reverse();
      let highest = 0;
      const work = async (): Promise<void> => {
        for (let entry = left.pop(); entry !== undefined; entry = left.pop()) {
          const { header } = await client.put(entry[0]).value(entry[1]);
          highest = Math.max(highest, Number(header.revision));
        }
      };
      await Promise.all(Array.from({ length: 64 }, work)).finally(() => {
        client.close();
      });
      return highest;
    },
    async revision() {
      return Number((await post('range', { key: base64('\0'), count_only: true })).header.revision);
    },
    async compact(revision) {
      await post('compaction', { revision: String(revision), physical: true });
    },
    async range(prefix, revision = 0) {
      const key = Buffer.from(prefix);
      const end = Buffer.from(key);
      end[end.length - 1] = (end.at(-1) as number) + 1;
      const { kvs = [] } = await post('range', {
        key: base64(key),
        range_end: base64(end),
        revision: String(revision),
      });
      const text = (base64Text = ''): string => Buffer.from(base64Text, 'base64').toString();
      return Object.fromEntries(kvs.map((kv) => [text(kv.key), text(kv.value)]));
    },
  };
  return self;
}

function base64(text: string | Uint8Array): string {
  return Buffer.from(text as string).toString('base64');
}

/** Each snapshot is what etcd held at its revision, and revisions rise. For histories that are still there. */
export async function expectTrue(followed: Followed<string>, prefix: string, etcd: Store): Promise<void> {
  let before = 0;
  for (const snapshot of followed.snapshots) {
    expect(snapshot.revision).toBeGreaterThan(before);
    before = snapshot.revision;
    expect([...snapshot]).toEqual(Object.entries(await etcd.range(prefix, snapshot.revision)));
  }
}

/** `count` entries with keys in order under a prefix. */
export function entries(prefix: string, count: number, value: (index: number) => string = String): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`${prefix}${String(index).padStart(6, '0')}`, value(index)]);
}
