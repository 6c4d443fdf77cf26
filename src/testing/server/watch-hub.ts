import type { Event } from '../wire/kv-messages.ts';
import type { WatchCreateRequest, WatchResponse } from '../wire/watch-messages.ts';
import type { PartialMessage } from '../wire/protobuf.ts';
import type { ServerClock } from './clock.ts';
import { isInRange, keyRange, type KeyRange } from './key-range.ts';
import type { MvccStore, StoreEvent } from './mvcc-store.ts';

/** etcd sends what a watcher missed in answers of at most so many revisions. */
const BATCH_REVISIONS = 1000;

/** How often etcd says where it stands to a watcher that asked for it and hears nothing else. */
const PROGRESS_EVERY_MS = 10 * 60_000;

/** What a watcher gets: its header's revision is the store's, or 0 when it is canceled as compacted. */
export type WatcherAnswer = Omit<PartialMessage<WatchResponse>, 'header'> & { readonly revision: number };

/** A watcher of the server, as a test sees it. */
export interface Watcher {
  readonly id: bigint;
  readonly range: KeyRange;
  /** The first revision whose events it still has to get. */
  readonly nextRevision: number;
  /** Whether it has all that there was, or waits for a revision to come. */
  readonly isSynced: boolean;
}

/** All watchers of a store: each gets the events of a revision in one answer. */
export class WatchHub {
  readonly #store: MvccStore;
  readonly #clock: ServerClock;
  readonly #watchers = new Set<HubWatcher>();
  #isTelling = false;
  /** How long after a revision was made its events are sent. Above 0, watchers fall behind. */
  lagMs = 0;

  constructor(store: MvccStore, clock: ServerClock) {
    this.#store = store;
    this.#clock = clock;
  }

  get watchers(): readonly Watcher[] {
    return [...this.#watchers];
  }

  /** The watcher gets nothing before {@link HubWatcher.start}. */
  add(id: bigint, request: WatchCreateRequest, send: (answer: WatcherAnswer) => void): HubWatcher {
    const watcher = new HubWatcher(id, request, this.#store, this.#clock, this, send);
    this.#watchers.add(watcher);
    return watcher;
  }

  /** @internal */
  forget(watcher: HubWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** A revision was made. */
  changed(): void {
    // Re-entrancy: what is sent may reach a test that writes again.
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let told = -1; told < this.#store.revision;) {
        told = this.#store.revision;
        for (const watcher of [...this.#watchers]) watcher.wake(this.lagMs);
      }
    } finally {
      this.#isTelling = false;
    }
  }

  /** Ends all timers; nobody is told. */
  clear(): void {
    for (const watcher of [...this.#watchers]) watcher.cancel();
  }
}

/** One watcher: behind, synced, or waiting for a revision that is not there yet. */
export class HubWatcher implements Watcher {
  readonly id: bigint;
  readonly range: KeyRange;
  readonly #request: WatchCreateRequest;
  readonly #store: MvccStore;
  readonly #clock: ServerClock;
  readonly #hub: WatchHub;
  readonly #send: (answer: WatcherAnswer) => void;
  #isStarted = false;
  #isOver = false;
  #cancelLag: (() => void) | undefined;
  #cancelProgress: (() => void) | undefined;
  nextRevision: number;

  constructor(
    id: bigint,
    request: WatchCreateRequest,
    store: MvccStore,
    clock: ServerClock,
    hub: WatchHub,
    send: (answer: WatcherAnswer) => void,
  ) {
    this.id = id;
    this.range = rangeOf(request);
    this.#request = request;
    this.#store = store;
    this.#clock = clock;
    this.#hub = hub;
    this.#send = send;
    this.nextRevision = request.startRevision === 0 ? store.revision + 1 : request.startRevision;
  }

  get isSynced(): boolean {
    return this.nextRevision > this.#store.revision;
  }

  /** Whether it waits for a revision after the next. */
  get waitsForFuture(): boolean {
    return this.nextRevision > this.#store.revision + 1;
  }

  start(): void {
    this.#isStarted = true;
    this.#armProgress();
    this.wake(this.#hub.lagMs);
  }

  /** There may be something for it. */
  wake(lagMs: number): void {
    if (!this.#isStarted || this.#isOver || this.isSynced || this.#cancelLag !== undefined) return;
    if (lagMs === 0) {
      this.#catchUp();
      return;
    }
    this.#cancelLag = this.#clock.after(lagMs, () => {
      this.#cancelLag = undefined;
      this.#catchUp();
    });
  }

  cancel(): void {
    this.#isOver = true;
    this.#cancelLag?.();
    this.#cancelProgress?.();
    this.#hub.forget(this);
  }

  #catchUp(): void {
    while (!this.#isOver && !this.isSynced) {
      if (this.nextRevision < this.#store.compactRevision) {
        const compactRevision = this.#store.compactRevision;
        this.cancel();
        this.#send({ revision: 0, watchId: this.id, canceled: true, compactRevision });
        return;
      }
      const events = this.#nextEvents();
      if (events.length > 0) this.#sendEvents(events);
    }
  }

  /** Of at most a batch of revisions; `nextRevision` is then after them. */
  #nextEvents(): StoreEvent[] {
    const events: StoreEvent[] = [];
    let revisions = 0;
    const last = this.#store.revision;
    let revision = Math.max(this.nextRevision, this.#store.compactRevision, 1);
    for (; revision <= last && revisions < BATCH_REVISIONS; revision++) {
      const matching = this.#store.eventsOf(revision).filter(({ key }) => isInRange(this.range, key));
      if (matching.length === 0) continue;
      revisions += 1;
      events.push(...matching);
    }
    this.nextRevision = revision;
    return events.filter(({ type }) => !this.#request.filters.includes(type === 'put' ? 0 : 1));
  }

  #sendEvents(events: readonly StoreEvent[]): void {
    this.#armProgress();
    this.#send({
      revision: this.#store.revision,
      watchId: this.id,
      events: events.map((event) => this.#toEvent(event)),
    });
  }

  #toEvent(event: StoreEvent): Event {
    const prevKv = this.#request.prevKv ? this.#store.previousOf(event) : undefined;
    return { type: event.type === 'put' ? 0 : 1, kv: event.kv, prevKv };
  }

  #armProgress(): void {
    if (!this.#request.progressNotify) return;
    this.#cancelProgress?.();
    this.#cancelProgress = this.#clock.after(PROGRESS_EVERY_MS, () => {
      if (this.isSynced) this.#send({ revision: this.#store.revision, watchId: this.id });
      this.#armProgress();
    });
  }
}

// etcd takes an empty key for the smallest one, and an empty end for none.
function rangeOf({ key, rangeEnd }: WatchCreateRequest): KeyRange {
  return keyRange(
    key.length === 0 ? Buffer.alloc(1) : key,
    rangeEnd === undefined || rangeEnd.length === 0 ? undefined : rangeEnd,
  );
}
