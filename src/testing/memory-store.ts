import { invalidArgument } from '../errors.ts';
import type { EtcdCore } from './server/core.ts';
import { keyText, valuesInRange, type KeyRange } from './server/key-range.ts';
import type { StoreDump, WriteTransaction } from './server/mvcc-store.ts';
import type { KeyValue } from './wire/kv-messages.ts';

/** An entry of the store, as etcd would answer it. */
export interface MemoryEntry {
  /** As text, if it is UTF-8. */
  readonly value: string;
  readonly bytes: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** As a decimal number, as etcd3 has it; '0' for none. */
  readonly leaseId: string;
}

/** A lease of the store. */
export interface MemoryLease {
  /** As a decimal number, as etcd3 has it. */
  readonly id: string;
  /** As it was granted. */
  readonly ttlSeconds: number;
  readonly remainingMs: number;
  readonly keys: readonly string[];
}

/** A watcher of the store, of any client. */
export interface MemoryWatcher {
  /** What it watches: from this key on … */
  readonly key: string;
  /** … to before this one; the same as `key` for that one key, empty for all from there on. */
  readonly rangeEnd: string;
  /** The next revision whose events it gets. */
  readonly nextRevision: number;
}

/** What a transaction of {@link MemoryStore.transaction} can do: all of it in one revision. */
export interface MemoryTransaction {
  /** Puts a key. */
  put(key: string | Uint8Array, value: string | Uint8Array, options?: MemoryPutOptions): void;
  /** Deletes a key, if it is there. */
  delete(key: string | Uint8Array): void;
}

/** How to put a key. */
export interface MemoryPutOptions {
  /** The lease it belongs to, as etcd3 gives lease ids. */
  readonly leaseId?: string;
}

/** Everything of a store at one time: only for {@link MemoryStore.restore}. */
export interface MemoryDump {
  /** The store's revision at that time. */
  readonly revision: number;
}

interface FullDump extends MemoryDump {
  readonly store: StoreDump;
  readonly leases: readonly { readonly id: bigint; readonly ttlSeconds: number; readonly keys: ReadonlySet<string> }[];
}

/**
 * The store of a memory etcd in the hand of a test: what is done here happens at once, and every client is told as if
 * another client had done it.
 */
export class MemoryStore {
  readonly #core: EtcdCore;
  readonly #replaced: () => void;

  /** @internal */
  constructor(core: EtcdCore, replaced: () => void) {
    this.#core = core;
    this.#replaced = replaced;
  }

  /** 1 when nothing was written yet. */
  get revision(): number {
    return this.#core.store.revision;
  }

  /** Puts a key in a revision of its own, which is returned. */
  put(key: string | Uint8Array, value: string | Uint8Array, options: MemoryPutOptions = {}): number {
    return this.transaction((transaction) => {
      transaction.put(key, value, options);
    });
  }

  /** Deletes a key. Returns the revision, the same as before if it was not there. */
  delete(key: string | Uint8Array): number {
    return this.transaction((transaction) => {
      transaction.delete(key);
    });
  }

  /** Deletes all keys with a prefix in one revision, which is returned. */
  deletePrefix(prefix: string | Uint8Array): number {
    this.#core.store.write((transaction) => {
      transaction.delete(prefixRange(prefix));
    });
    return this.revision;
  }

  /** Writes any number of keys in one revision, which is returned. */
  transaction(work: (transaction: MemoryTransaction) => void): number {
    this.#core.store.write((transaction) => {
      work(this.#memoryTransaction(transaction));
    });
    return this.revision;
  }

  /** The entry of a key, as it is now. */
  get(key: string | Uint8Array): MemoryEntry | undefined {
    const found = this.#core.store.tree.get(textOf(key));
    return found && toEntry(found);
  }

  /** What is under a prefix, in the order of the keys: now, or at a revision that is not compacted. */
  entries(prefix: string | Uint8Array = '', revision: number = 0): Map<string, MemoryEntry> {
    const tree = this.#core.store.treeAt(revision);
    const found = valuesInRange(tree, prefixRange(prefix));
    return new Map([...found].map((kv) => [Buffer.from(kv.key).toString(), toEntry(kv)]));
  }

  /** Forgets the history before a revision, by default before the present one. */
  compact(revision: number = this.revision): void {
    this.#core.store.compact(revision);
  }

  /** The leases there are, the next to expire first. */
  get leases(): readonly MemoryLease[] {
    return this.#core.leases.list().map((lease) => ({
      id: String(lease.id),
      ttlSeconds: lease.ttlSeconds,
      remainingMs: Math.max(0, lease.expiresAtMs - this.#core.clock.nowMs),
      keys: [...lease.keys].sort().map((key) => Buffer.from(key, 'latin1').toString()),
    }));
  }

  /** Grants a lease, of an id of the server's choice by default, and returns its id. */
  grant(ttlSeconds: number, leaseId: string = '0'): string {
    return String(this.#core.leases.grant(idOf(leaseId), ttlSeconds).id);
  }

  /** Ends a lease now and deletes its keys, as if it had expired or somebody had revoked it. */
  revoke(leaseId: string): void {
    this.#core.revoke(idOf(leaseId));
  }

  /** {@link MemoryStore.revoke} for all leases: as when no client had renewed in time. */
  expireLeases(): void {
    for (const { id } of this.#core.leases.list()) this.#core.revoke(id);
  }

  /** The watchers there are. */
  get watchers(): readonly MemoryWatcher[] {
    return this.#core.hub.watchers.map(({ range, nextRevision }) => ({
      key: Buffer.from(range.start, 'latin1').toString(),
      rangeEnd: Buffer.from(range.end ?? range.start, 'latin1').toString(),
      nextRevision,
    }));
  }

  /** Everything there is, to go back to with {@link MemoryStore.restore}. */
  dump(): MemoryDump {
    const leases = this.#core.leases
      .list()
      .map(({ id, ttlSeconds, keys }) => ({ id, ttlSeconds, keys: new Set(keys) }));
    const dump: FullDump = { revision: this.revision, store: this.#core.store.dump(), leases };
    return dump;
  }

  /** As a cluster restored from a backup: all connections are cut, and another history goes on from here. */
  restore(dump: MemoryDump): void {
    const { store, leases } = dump as FullDump;
    this.#core.store.restore(store);
    this.#core.leases.clear();
    for (const { id, ttlSeconds, keys } of leases) {
      this.#core.leases.grant(id, ttlSeconds);
      for (const key of keys) this.#core.leases.attach(key, id, 0n);
    }
    this.#replaced();
  }

  /** As a cluster that starts again without its data: all connections are cut, and revisions begin at 1. */
  wipe(): void {
    this.#core.store.wipe();
    this.#core.leases.clear();
    this.#replaced();
  }

  #memoryTransaction(transaction: WriteTransaction): MemoryTransaction {
    return {
      put: (key, value, options = {}) => {
        const lease = idOf(options.leaseId ?? '0');
        if (lease !== 0n && !this.#core.leases.has(lease)) throw invalidArgument('leaseId', 'a lease there is', lease);
        transaction.put(textOf(key), Buffer.from(value), lease);
      },
      delete: (key) => {
        transaction.delete({ start: textOf(key), end: undefined });
      },
    };
  }
}

function textOf(key: string | Uint8Array): string {
  return keyText(typeof key === 'string' ? Buffer.from(key) : key);
}

/** All keys with a prefix: to before the first key after them. */
function prefixRange(prefix: string | Uint8Array): KeyRange {
  const start = textOf(prefix);
  const last = start.replace(/\xff+$/, '');
  const end = last === '' ? '' : last.slice(0, -1) + String.fromCharCode(last.charCodeAt(last.length - 1) + 1);
  return { start, end };
}

function idOf(leaseId: string): bigint {
  try {
    return BigInt(leaseId);
  } catch {
    throw invalidArgument('leaseId', 'a decimal number as text', leaseId);
  }
}

function toEntry(kv: KeyValue): MemoryEntry {
  return {
    value: Buffer.from(kv.value).toString(),
    bytes: kv.value,
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    leaseId: String(kv.lease),
  };
}
