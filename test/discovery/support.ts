import { expect } from 'vitest';
import { Etcd3, type IOptions } from 'etcd3';
import type { Observable } from 'rxjs';
import type { PrefixState, RxEtcdError, Snapshot } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import type { Gateway } from '../support/gateway.ts';
import { record } from '../support/record.ts';

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
  const recording = record(states$);
  const { values: states, subscription } = recording;
  const failure = (): RxEtcdError | undefined => recording.error as RxEtcdError | undefined;
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
      return failure();
    },
    async holds(entries, withinMs = 10_000) {
      await eventually(
        () => {
          const error = failure();
          if (error !== undefined) throw error;
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
          const error = failure();
          if (error !== undefined) throw error;
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
      return eventually(failure, { withinMs, what: 'an error' });
    },
    unsubscribe() {
      subscription.unsubscribe();
    },
  };
  return followed;
}

/** Each snapshot is what etcd held at its revision, and revisions rise. For histories that are still there. */
export async function expectTrue(followed: Followed<string>, prefix: string, etcd: Gateway): Promise<void> {
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
