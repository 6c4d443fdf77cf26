import { SortedTree, type SortedTreeDraft } from '../../sorted-tree/sorted-tree.ts';
import type { KeyValue } from '../wire/kv-messages.ts';
import { etcdError } from './etcd-errors.ts';
import { isBefore, keyBytes, valuesInRange, type KeyRange } from './key-range.ts';

/** One change of one key. A deletion's `kv` has the key and the revision alone, as in etcd's events. */
export interface StoreEvent {
  readonly type: 'put' | 'delete';
  /** The key as text of one character a byte. */
  readonly key: string;
  readonly kv: KeyValue;
  readonly previous: KeyValue | undefined;
}

/** The keys of one revision. */
export type KeyTree = SortedTree<string, KeyValue>;

/** What a revision left behind, and what it changed. */
interface Version {
  readonly tree: KeyTree;
  readonly events: readonly StoreEvent[];
}

/** Everything of a store at one time, to go back to. Opaque: its inside may change. */
export interface StoreDump {
  readonly firstRevision: number;
  readonly compactRevision: number;
  readonly versions: readonly Version[];
}

export interface StoreObserver {
  /** The key is attached to this lease now: 0 for none. */
  attached(key: string, lease: bigint, before: bigint): void;
  /** A revision was made. */
  committed(revision: number, events: readonly StoreEvent[]): void;
}

/**
 * etcd's multi-version store: each revision is an immutable tree that shares its nodes with the one before, so that any
 * revision since the last compaction can be read.
 */
export class MvccStore {
  readonly #observer: StoreObserver;
  readonly #losesDeletion: boolean;
  #firstRevision = 1;
  #compactRevision = -1;
  #versions: Version[] = [{ tree: SortedTree.empty(isBefore), events: [] }];

  /** @param losesDeletion whether a compaction at a revision forgets that revision's deletions (etcd before 3.5.18). */
  constructor(observer: StoreObserver, losesDeletion: boolean) {
    this.#observer = observer;
    this.#losesDeletion = losesDeletion;
  }

  /** 1 for a store that nothing was written to. */
  get revision(): number {
    return this.#firstRevision + this.#versions.length - 1;
  }

  /** -1 before the first compaction. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  get tree(): KeyTree {
    return (this.#versions.at(-1) as Version).tree;
  }

  /** The keys at a revision; 0 and below mean now. Throws etcd's error for one that is compacted or not there yet. */
  treeAt(revision: number): KeyTree {
    if (revision > this.revision) throw etcdError('futureRevision');
    if (revision <= 0) return this.tree;
    if (revision < this.#compactRevision) throw etcdError('compacted');
    return this.#version(revision).tree;
  }

  /** What a revision changed; nothing for one that is compacted. */
  eventsOf(revision: number): readonly StoreEvent[] {
    if (revision < this.#firstRevision || revision > this.revision) return [];
    return this.#version(revision).events;
  }

  /** The key as it was right before a revision, as long as that is not compacted. */
  previousOf(event: StoreEvent): KeyValue | undefined {
    return event.kv.modRevision - 1 < this.#compactRevision ? undefined : event.previous;
  }

  /** Writes in one revision; none is made when nothing changes. */
  write<R>(work: (transaction: WriteTransaction) => R): R {
    const transaction = new WriteTransaction(this, this.#observer);
    const result = work(transaction);
    if (transaction.events.length > 0) {
      const version = { tree: transaction.tree, events: transaction.events };
      this.#versions.push(version);
      this.#observer.committed(this.revision, version.events);
    }
    return result;
  }

  /** Forgets what was before a revision. Throws etcd's errors. */
  compact(revision: number): void {
    if (revision <= this.#compactRevision) throw etcdError('compacted');
    if (revision > this.revision) throw etcdError('futureRevision');
    this.#compactRevision = revision;
    const gone = Math.max(0, revision - this.#firstRevision);
    this.#versions.splice(0, gone);
    this.#firstRevision += gone;
    const [first] = this.#versions as [Version];
    if (this.#losesDeletion) {
      this.#versions[0] = { tree: first.tree, events: first.events.filter(({ type }) => type === 'put') };
    }
  }

  dump(): StoreDump {
    return {
      firstRevision: this.#firstRevision,
      compactRevision: this.#compactRevision,
      versions: this.#versions.slice(),
    };
  }

  /** Another history takes the place of this one. Nobody is told: as after a restart on other data. */
  restore(dump: StoreDump): void {
    this.#firstRevision = dump.firstRevision;
    this.#compactRevision = dump.compactRevision;
    this.#versions = dump.versions.slice();
  }

  /** The history of a store that nothing was written to. */
  wipe(): void {
    this.restore({
      firstRevision: 1,
      compactRevision: -1,
      versions: [{ tree: SortedTree.empty(isBefore), events: [] }],
    });
  }

  #version(revision: number): Version {
    return this.#versions[revision - this.#firstRevision] as Version;
  }
}

/** A revision in the making. What it wrote it reads. */
export class WriteTransaction {
  readonly events: StoreEvent[] = [];
  readonly #store: MvccStore;
  readonly #observer: StoreObserver;
  readonly #draft: SortedTreeDraft<string, KeyValue>;
  readonly #revision: number;
  #tree: KeyTree | undefined;

  constructor(store: MvccStore, observer: StoreObserver) {
    this.#store = store;
    this.#observer = observer;
    this.#draft = store.tree.draft();
    this.#revision = store.revision + 1;
  }

  /** The revision that reads are of: the one before, until something is written. */
  get revision(): number {
    return this.events.length > 0 ? this.#revision : this.#revision - 1;
  }

  get tree(): KeyTree {
    this.#tree ??= this.#draft.done();
    return this.#tree;
  }

  treeAt(revision: number): KeyTree {
    if (revision <= 0 || revision === this.revision) return this.tree;
    return this.#store.treeAt(revision);
  }

  put(key: string, value: Uint8Array, lease: bigint): KeyValue {
    const previous = this.#draft.get(key);
    const kv: KeyValue = {
      key: previous?.key ?? keyBytes(key),
      createRevision: previous?.createRevision ?? this.#revision,
      modRevision: this.#revision,
      version: (previous?.version ?? 0) + 1,
      // A view of a request would keep all of it.
      value: Buffer.from(value),
      lease,
    };
    this.#draft.set(key, kv);
    this.#changed({ type: 'put', key, kv, previous });
    this.#observer.attached(key, lease, previous?.lease ?? 0n);
    return kv;
  }

  /** The keys that were deleted, as they were. */
  delete(range: KeyRange): KeyValue[] {
    const deleted = [...valuesInRange(this.tree, range)];
    for (const previous of deleted) {
      const key = Buffer.from(previous.key).toString('latin1');
      this.#draft.delete(key);
      this.#changed({ type: 'delete', key, kv: deletion(previous.key, this.#revision), previous });
      this.#observer.attached(key, 0n, previous.lease);
    }
    return deleted;
  }

  #changed(event: StoreEvent): void {
    this.#tree = undefined;
    this.events.push(event);
  }
}

function deletion(key: Uint8Array, modRevision: number): KeyValue {
  return { key, createRevision: 0, modRevision, version: 0, value: NO_VALUE, lease: 0n };
}

const NO_VALUE = Buffer.alloc(0);
