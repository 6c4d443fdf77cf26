import { Observable, Subject, type Subscriber } from 'rxjs';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type {
  Connection,
  Fingerprint,
  Member,
  ConnectionState,
  ListPage,
  WatchMessage,
  WatchRequest,
  WireEntry,
  WireEvent,
} from '../../src/etcd/member.ts';

/** What a revision did under the prefix; no entry for the rest of the store. */
type Write = ReadonlyMap<string, string | undefined>;

/**
 * A store with one prefix and its history, seen through a connection whose every answer waits for the test: calls
 * are answered, watches told and members cut in any order. Nothing happens by itself.
 */
export class FakeEtcd {
  /** The write of revision n at n - 1; revision 1 is the empty store's. */
  #log: Write[] = [new Map()];
  #compacted = 0;
  readonly calls: PendingCall[] = [];
  readonly watches: ServerWatch[] = [];
  /** How often the code under test asked for anything. */
  asked = 0;
  member: Member | undefined;
  readonly #states = new Subject<ConnectionState>();
  #state: ConnectionState | undefined;
  readonly connection: Pick<Connection, 'member$'> = {
    member$: new Observable((subscriber) => {
      if (this.#state !== undefined) subscriber.next(this.#state);
      return this.#states.subscribe(subscriber);
    }),
  };

  /** Told of each watch when it is asked for. */
  readonly #onWatch: (request: WatchRequest) => void;

  constructor(onWatch: (request: WatchRequest) => void = () => undefined) {
    this.#onWatch = onWatch;
  }

  get revision(): number {
    return this.#log.length;
  }

  get compacted(): number {
    return this.#compacted;
  }

  write(changes: Write): void {
    const now = this.entriesAt(this.revision);
    // A deletion of nothing is no event.
    const real = [...changes].filter(([key, value]) => value !== undefined || now.some((entry) => entry.key === key));
    this.#log.push(new Map(real));
  }

  compact(revision: number): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.revision));
  }

  /** Back to an earlier revision: history goes on from there, differently. 1 is a wiped server. */
  restore(revision: number): void {
    this.#log = this.#log.slice(0, Math.max(1, revision));
    this.#compacted = Math.min(this.#compacted, revision);
  }

  up(): void {
    this.#drop();
    this.member = this.#makeMember();
    this.#tell({ status: 'up', member: this.member });
  }

  down(): void {
    this.#drop();
    this.member = undefined;
    this.#tell({ status: 'down', attempt: 1, cause: new EtcdFault('connection', 'down') });
  }

  #tell(state: ConnectionState): void {
    this.#state = state;
    this.#states.next(state);
  }

  // Calls and watches of a lost member end with it; those who asked have mostly gone by then.
  #drop(): void {
    for (const call of this.calls.splice(0)) call.fail('connection');
    for (const watch of this.watches.splice(0)) watch.fail('connection');
  }

  /** The entries under the prefix at a revision, in key order. */
  entriesAt(revision: number): WireEntry[] {
    const entries = new Map<string, WireEntry>();
    this.#log.slice(0, revision).forEach((write, index) => {
      for (const [key, value] of write) {
        if (value === undefined) entries.delete(key);
        else entries.set(key, entryOf(key, value, index + 1, entries.get(key)?.createRevision));
      }
    });
    return [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  eventsAt(revision: number): WireEvent[] {
    return [...(this.#log[revision - 1] ?? new Map<string, string | undefined>())].map(([key, value]) =>
      value === undefined
        ? { type: 'delete', ...entryOf(key, '', revision) }
        : { type: 'put', ...entryOf(key, value, revision) },
    );
  }

  fingerprintAt(revision: number): Fingerprint {
    const entries = this.entriesAt(revision);
    const newest = entries.reduce<WireEntry | undefined>(
      (best, entry) => (best === undefined || entry.modRevision > best.modRevision ? entry : best),
      undefined,
    );
    return { count: entries.length, newest, revision: this.revision };
  }

  #refusal(revision: number): EtcdFault | undefined {
    if (revision > this.revision) return new EtcdFault('future-revision', 'required revision is a future revision');
    if (revision < this.#compacted) return new EtcdFault('compacted', 'required revision has been compacted');
    return undefined;
  }

  #makeMember(): Member {
    const never = (): never => {
      throw new Error('not for discovery');
    };
    return {
      host: 'fake',
      list$: () =>
        this.#call<ListPage>((call) => {
          // Pages of two entries, the second page on at the first one's revision.
          const { pinned = { revision: this.revision, given: 0 } } = call;
          const refusal = this.#refusal(pinned.revision);
          if (refusal !== undefined) {
            call.subscriber.error(refusal);
            return;
          }
          const entries = this.entriesAt(pinned.revision);
          const page = entries.slice(pinned.given, pinned.given + 2);
          call.pinned = { revision: pinned.revision, given: pinned.given + 2 };
          const last = call.pinned.given >= entries.length;
          if (!last) this.calls.push(call);
          call.subscriber.next({ entries: page, revision: pinned.revision });
          if (last) call.subscriber.complete();
        }),
      fingerprint$: (_, revision) =>
        this.#call<Fingerprint>((call) => {
          const at = revision ?? this.revision;
          const refusal = this.#refusal(at);
          if (refusal !== undefined) {
            call.subscriber.error(refusal);
            return;
          }
          call.subscriber.next(this.fingerprintAt(at));
          call.subscriber.complete();
        }),
      watch$: (request) =>
        new Observable<WatchMessage>((subscriber) => {
          this.asked += 1;
          this.#onWatch(request);
          const watch = new ServerWatch(this, request, subscriber);
          this.watches.push(watch);
          return () => remove(this.watches, watch);
        }),
      grant$: never,
      revoke$: never,
      keepAlive$: never,
      txn$: never,
    };
  }

  #call<R>(answer: (call: PendingCall & { subscriber: Subscriber<R> }) => void): Observable<R> {
    return new Observable<R>((subscriber) => {
      this.asked += 1;
      const call: PendingCall & { subscriber: Subscriber<R> } = {
        subscriber,
        answer: () => {
          remove(this.calls, call);
          answer(call);
        },
        fail: (kind) => {
          remove(this.calls, call);
          subscriber.error(new EtcdFault(kind, `the call failed: ${kind}`));
        },
      };
      this.calls.push(call);
      return () => {
        remove(this.calls, call);
      };
    });
  }
}

export interface PendingCall {
  answer(): void;
  fail(kind: 'busy' | 'connection'): void;
  pinned?: { readonly revision: number; readonly given: number };
}

/**
 * A watcher as the server sees it, behind a watch stream that asks from one revision earlier when it is behind: then
 * it reads from the store first, and there the deletions of the revision compacted at are gone.
 *
 * @source https://github.com/etcd-io/etcd/issues/18089
 */
export class ServerWatch {
  readonly #etcd: FakeEtcd;
  readonly request: WatchRequest;
  readonly #subscriber: Subscriber<WatchMessage>;
  #created = false;
  #synced = false;
  #next: number;

  constructor(etcd: FakeEtcd, request: WatchRequest, subscriber: Subscriber<WatchMessage>) {
    this.#etcd = etcd;
    this.request = request;
    this.#subscriber = subscriber;
    this.#next = request.startRevision;
  }

  get idle(): boolean {
    return this.#created && this.#next > this.#etcd.revision;
  }

  /** Answers the create, or tells of the next `revisions` revisions in one message. */
  step(revisions: number): void {
    if (!this.#created) {
      this.#created = true;
      this.#synced = this.#etcd.revision < this.#next;
      if (!this.#synced) this.#next = Math.max(1, this.#next - 1);
      this.#subscriber.next({ type: 'created' });
      return;
    }
    if (this.#next < this.#etcd.compacted) {
      remove(this.#etcd.watches, this);
      this.#subscriber.error(new EtcdFault('compacted', 'compacted'));
      return;
    }
    const events: WireEvent[] = [];
    for (let told = 0; told < revisions && this.#next <= this.#etcd.revision; this.#next++) {
      const lost = !this.#synced && this.#next === this.#etcd.compacted;
      const more = this.#etcd
        .eventsAt(this.#next)
        .filter(({ type }) => this.#next >= this.request.startRevision && !(lost && type === 'delete'));
      events.push(...more);
      if (more.length > 0) told += 1;
    }
    this.#synced = true;
    if (events.length > 0) this.#subscriber.next({ type: 'events', events });
  }

  fail(kind: 'busy' | 'connection'): void {
    remove(this.#etcd.watches, this);
    this.#subscriber.error(new EtcdFault(kind, `the watch failed: ${kind}`));
  }
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}

function entryOf(key: string, value: string, modRevision: number, createRevision = modRevision): WireEntry {
  return { key, value: Buffer.from(value), createRevision, modRevision, lease: '0' };
}
