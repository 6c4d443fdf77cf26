import { Subscription, defer, timer, type Observable, type SchedulerLike } from 'rxjs';
import { passingError, type PassingError } from '../errors.ts';
import { backoffDelayMs } from '../time/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Member, TxnAnswer, TxnRequest, WatchMessage } from '../etcd/member.ts';
import type { Desired, PresentValues } from './desired.ts';
import {
  equalBytes,
  isOwn,
  planKeys,
  seenAfter,
  seenFromWatch,
  type ConflictPolicy,
  type RegisteredKey,
  type SeenKey,
  type Situation,
} from './key-plan.ts';
import { KeyWatch, type WatchedKeys } from './key-watch.ts';

/** A manual write without a lease is undone this often, then left alone. */
const MAX_REPAIRS = 5;

/** A registration undisturbed for this long is in peace again. */
const PEACE_MS = 60_000;

/** Where the keys of a registration stand, on one lease and one member. */
export type KeyState<T> =
  | { readonly status: 'pending'; readonly attempt: number; readonly cause?: PassingError }
  | { readonly status: 'held'; readonly present: PresentValues<T>; readonly revision: number }
  | { readonly status: 'withdrawn' }
  /** They were held, and somebody else deleted or overwrote one. */
  | { readonly status: 'gone'; readonly cause: PassingError };

/** What is remembered from lease to lease. */
export interface KeyMemory {
  /** The keys were ours, and not given up since: whoever has them now came later. */
  everHeld: boolean;
  repairs: number;
  disturbedAtMs: number;
  /** The lease of this registration before the present one, which is gone. */
  formerLease: string | undefined;
}

export interface KeyPolicy {
  readonly keys: readonly RegisteredKey[];
  readonly onConflict: ConflictPolicy;
  readonly confirm: 'write' | 'watch';
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/** Who is told how the keys are getting on. */
export interface KeyHolder<T> {
  readonly memory: KeyMemory;
  onKeyState(state: KeyState<T>): void;
  /** There is reason to doubt that the lease lives. */
  onDoubt(): void;
  /** The last that is told. */
  onKeyError(error: unknown): void;
}

/**
 * Keeps keys under a lease as they are desired: one request at a time, so that writes keep their order and the
 * latest wins. A watch on each key tells of what somebody else does to it. Unsubscribing leaves the keys to the lease.
 *
 * A class for the same reason as {@link HeldLease}: ten thousand are held by one process.
 */
export class HeldKeys<T> implements WatchedKeys {
  readonly #member: Member;
  readonly #leaseId: string;
  readonly #policy: KeyPolicy;
  readonly #holder: KeyHolder<T>;
  #seen: readonly SeenKey[] | undefined;
  #desired: Desired<T> | undefined;
  #isHeld = false;
  /** What we made of the keys: whatever else they are is somebody else's doing. */
  #made: readonly Uint8Array[] | undefined;
  #attempt = 0;
  /** The request under way, or the wait before the next one. */
  #busy: Subscription | undefined;
  #watches: Subscription | undefined;
  #watchesAgain: Subscription | undefined;
  #closed = false;

  constructor(member: Member, leaseId: string, policy: KeyPolicy, holder: KeyHolder<T>) {
    this.#member = member;
    this.#leaseId = leaseId;
    this.#policy = policy;
    this.#holder = holder;
  }

  isHeldOn(member: Member | undefined, leaseId: string | undefined): boolean {
    return this.#member === member && this.#leaseId === leaseId;
  }

  /** What the keys are to be from now on. */
  want(desired: Desired<T>): void {
    this.#desired = desired;
    this.#step();
  }

  unsubscribe(): void {
    this.#closed = true;
    this.#busy?.unsubscribe();
    this.#watches?.unsubscribe();
    this.#watchesAgain?.unsubscribe();
  }

  #situation(): Situation {
    const { memory } = this.#holder;
    return {
      keys: this.#policy.keys,
      seen: this.#seen,
      wanted: this.#desired?.status === 'present' ? this.#desired.bytes : undefined,
      leaseId: this.#leaseId,
      formerLease: memory.formerLease,
      policy: this.#policy.onConflict,
      mayTakeOver: (entry) => !memory.everHeld || (entry.lease === '0' && memory.repairs <= MAX_REPAIRS),
    };
  }

  /** One thing at a time: nothing else is asked for before this was answered, and the answer looked at. */
  #whileBusy<V>(work$: Observable<V>, next: (value: V) => void): void {
    const busy = new Subscription();
    this.#busy = busy;
    busy.add(
      work$.subscribe({
        next: (value) => {
          next(value);
          if (this.#busy === busy) this.#busy = undefined;
          this.#step();
        },
        error: (error: unknown) => {
          if (this.#failed(error)) this.#pause(this.#attempt);
        },
      }),
    );
  }

  #pause(failures: number): void {
    const { random, scheduler } = this.#policy;
    this.#whileBusy(timer(backoffDelayMs(failures, random), scheduler), () => {
      this.#forgetUnwatched();
    });
  }

  /** Nobody has told what happened since the watch was lost. */
  #forgetUnwatched(): void {
    if (this.#watches === undefined) this.#seen = undefined;
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.unsubscribe();
    this.#holder.onKeyError(error);
  }

  #tell(state: KeyState<T>): void {
    if (!this.#closed) this.#holder.onKeyState(state);
  }

  /** Whether it can be tried again. */
  #failed(fault: unknown): boolean {
    // Not etcd's doing but a mistake in code: taken for weather, it would be retried for ever.
    const fatal = fault instanceof EtcdFault ? fatalError(fault) : fault;
    if (fatal !== undefined) {
      this.#fail(fatal);
      return false;
    }
    const cause = fault as EtcdFault;
    this.#attempt += 1;
    if (!this.#isHeld) this.#tell({ status: 'pending', attempt: this.#attempt, cause: cause.passing });
    if (cause.kind === 'lease-gone') this.#holder.onDoubt();
    return !this.#closed;
  }

  #step(): void {
    const desired = this.#desired;
    if (this.#busy !== undefined || desired === undefined || this.#closed) return;
    const now = this.#situation();
    const cause = this.#made && disturbance(now, this.#made);
    if (cause !== undefined) {
      this.#disturbed(cause);
      return;
    }
    const plan = planKeys(now);
    switch (plan.type) {
      case 'write':
        this.#write(plan.request);
        return;
      case 'conflict': {
        const owner = plan.lease === '0' ? 'somebody without a lease' : `the owner of lease ${plan.lease}`;
        const cause = passingError('key-conflict', `key ${JSON.stringify(plan.key)} is held by ${owner}`);
        if (this.#policy.onConflict === 'fail') this.#fail(cause);
        else this.#tell({ status: 'pending', attempt: 0, cause });
        return;
      }
      case 'settled':
        this.#settled(desired, now.seen ?? []);
    }
  }

  #settled(as: Desired<T>, known: readonly SeenKey[]): void {
    const { memory } = this.#holder;
    this.#attempt = 0;
    if (as.status === 'absent') {
      memory.everHeld = false;
      this.#isHeld = false;
      this.#tell({ status: 'withdrawn' });
      return;
    }
    if (this.#policy.confirm === 'watch' && !known.every(({ watched }) => watched)) return;
    memory.everHeld = true;
    this.#isHeld = true;
    this.#made = as.bytes;
    const revision = Math.max(...known.map(({ entry }) => entry?.modRevision ?? 0));
    this.#tell({ status: 'held', present: as, revision });
  }

  #disturbed(cause: PassingError): void {
    const { memory } = this.#holder;
    this.#isHeld = false;
    this.#made = undefined;
    const nowMs = this.#policy.scheduler.now();
    memory.repairs = nowMs - memory.disturbedAtMs > PEACE_MS ? 1 : memory.repairs + 1;
    memory.disturbedAtMs = nowMs;
    // A lease that is revoked takes its keys along: then there is nothing to repair here.
    this.#holder.onDoubt();
    if (this.#closed) return;
    this.#pause(memory.repairs);
    this.#tell({ status: 'gone', cause });
  }

  #write(request: TxnRequest): void {
    const target = request.then.some(({ type }) => type === 'put') ? this.#situation().wanted : undefined;
    this.#whileBusy(
      defer(() => this.#member.txn$(request)),
      (answer) => {
        this.#written(request, answer, target);
      },
    );
  }

  #written(request: TxnRequest, answer: TxnAnswer, target: readonly Uint8Array[] | undefined): void {
    this.#seen = seenAfter(this.#situation(), request, answer);
    const wrote = answer.succeeded && request.then.some(({ type }) => type !== 'get');
    if (wrote) this.#made = target;
    // From the write itself on, so that the watch tells of it.
    if (this.#watches === undefined) this.#watch(wrote ? answer.revision : answer.revision + 1, wrote);
  }

  #watch(startRevision: number, catchesUp: boolean): void {
    const watches = new Subscription();
    this.#watches = watches;
    for (const [index, { bytes, namespaceBytes }] of this.#policy.keys.entries()) {
      const request = { range: { key: bytes, namespaceBytes }, startRevision, catchesUp };
      const watch$ = defer(() => this.#member.watch$(request));
      watches.add(watch$.subscribe(new KeyWatch(this, index, startRevision, watches)));
    }
  }

  onWatched(index: number, message: WatchMessage, startRevision: number): void {
    if (this.#seen === undefined) return;
    const known = this.#seen[index] as SeenKey;
    const told = seenFromWatch(known, message, startRevision);
    if (told === known) return;
    this.#seen = this.#seen.with(index, told);
    this.#step();
  }

  onWatchError(watches: Subscription, error: unknown): void {
    watches.unsubscribe();
    if (this.#watches === watches && this.#failed(error)) this.#watchAgain();
  }

  #watchAgain(): void {
    const { random, scheduler } = this.#policy;
    this.#watches = undefined;
    // Begun anew by a write, it may be lost again before the last wait is over.
    this.#watchesAgain?.unsubscribe();
    this.#watchesAgain = timer(backoffDelayMs(Math.max(1, this.#attempt), random), scheduler).subscribe(() => {
      // A request under way will tell, and watch from there; and whoever pauses looks afresh after it.
      if (this.#busy !== undefined) return;
      this.#forgetUnwatched();
      this.#step();
    });
  }
}

/** Why the keys are not what we made them, when they are not. */
function disturbance(situation: Situation, bytes: readonly Uint8Array[]): PassingError | undefined {
  if (situation.seen === undefined) return undefined;
  for (const [index, { name }] of situation.keys.entries()) {
    const entry = situation.seen[index]?.entry;
    const key = JSON.stringify(name);
    if (entry === undefined)
      return passingError('key-conflict', `key ${key} was deleted: by somebody else, or with its lease`);
    if (!isOwn(situation, entry.lease) || !equalBytes(entry.value, bytes[index] as Uint8Array)) {
      return passingError('key-conflict', `key ${key} was overwritten by somebody else`);
    }
  }
  return undefined;
}
