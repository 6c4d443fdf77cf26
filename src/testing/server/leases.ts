import type { QueuedTimer } from '../../time/timer-queue.ts';
import type { ServerClock } from './clock.ts';
import { etcdError } from './etcd-errors.ts';

const LONGEST_TTL_SECONDS = 9_000_000_000;

/** A lease of the server. */
export interface ServerLease {
  readonly id: bigint;
  /** As it was granted. */
  readonly ttlSeconds: number;
  readonly expiresAtMs: number;
  /** Keys as text of one character a byte. */
  readonly keys: ReadonlySet<string>;
}

interface GrantedLease extends ServerLease {
  expiresAtMs: number;
  readonly keys: Set<string>;
  readonly timer: QueuedTimer;
}

/** etcd's lessor: what was granted, until when, and which keys are attached. */
export class Leases {
  readonly #clock: ServerClock;
  readonly #minTtlSeconds: number;
  readonly #onExpired: (id: bigint) => void;
  readonly #granted = new Map<bigint, GrantedLease>();
  #lastId = 0n;

  /** @param onExpired shall revoke the lease. */
  constructor(clock: ServerClock, minTtlSeconds: number, onExpired: (id: bigint) => void) {
    this.#clock = clock;
    this.#minTtlSeconds = minTtlSeconds;
    this.#onExpired = onExpired;
  }

  has(id: bigint): boolean {
    return this.#granted.has(id);
  }

  get(id: bigint): ServerLease | undefined {
    return this.#granted.get(id);
  }

  /** The next to expire first. */
  list(): ServerLease[] {
    return [...this.#granted.values()].sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  }

  /** @param id 0 for one of its own choice. */
  grant(id: bigint, ttlSeconds: number): ServerLease {
    if (ttlSeconds > LONGEST_TTL_SECONDS) throw etcdError('leaseTtlTooLarge');
    if (id !== 0n && this.#granted.has(id)) throw etcdError('leaseExists');
    const chosen = id === 0n ? this.#nextId() : id;
    const lease: GrantedLease = {
      id: chosen,
      ttlSeconds: Math.max(ttlSeconds, this.#minTtlSeconds),
      expiresAtMs: 0,
      keys: new Set(),
      timer: {
        dueMs: undefined,
        fire: () => {
          this.#onExpired(chosen);
        },
      },
    };
    this.#granted.set(chosen, lease);
    this.#renew(lease);
    return lease;
  }

  /** The TTL it has again, or 0 when there is no such lease. */
  renew(id: bigint): number {
    const lease = this.#granted.get(id);
    if (lease === undefined) return 0;
    this.#renew(lease);
    return lease.ttlSeconds;
  }

  /** Whole seconds, as etcd rounds them: of a lease granted right now there is a little less than its TTL left. */
  remainingSeconds({ expiresAtMs }: ServerLease): number {
    return Math.max(0, Math.ceil((expiresAtMs - this.#clock.nowMs) / 1000) - 1);
  }

  attach(key: string, id: bigint, before: bigint): void {
    this.#granted.get(before)?.keys.delete(key);
    this.#granted.get(id)?.keys.add(key);
  }

  /** Forgets it; its keys are the caller's to delete. Throws etcd's error when there is no such lease. */
  remove(id: bigint): string[] {
    const lease = this.#granted.get(id);
    if (lease === undefined) throw etcdError('leaseNotFound');
    this.#granted.delete(id);
    this.#clock.timers.cancel(lease.timer);
    return [...lease.keys].sort();
  }

  /** All have their whole TTL again, as after a restart or another leader's election. */
  renewAll(): void {
    for (const lease of this.#granted.values()) this.#renew(lease);
  }

  /** Forgets all of them. */
  clear(): void {
    for (const { timer } of this.#granted.values()) this.#clock.timers.cancel(timer);
    this.#granted.clear();
  }

  #renew(lease: GrantedLease): void {
    const ttlMs = lease.ttlSeconds * 1000;
    lease.expiresAtMs = this.#clock.nowMs + ttlMs;
    this.#clock.timers.set(lease.timer, ttlMs);
  }

  #nextId(): bigint {
    // Of the size of etcd's: too large for a JavaScript number.
    do this.#lastId += 1n;
    while (this.#granted.has(FIRST_ID + this.#lastId));
    return FIRST_ID + this.#lastId;
  }
}

const FIRST_ID = 0x0694_8000_0000_0000n;
