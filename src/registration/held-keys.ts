import { Observable, Subscription, defer, timer, type SchedulerLike } from 'rxjs';
import { RxEtcdError } from '../errors.ts';
import { backoffDelayMs } from '../etcd/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Link, TxnRequest, WatchMessage } from '../etcd/link.ts';
import type { Desired, PresentValues } from './desired.ts';
import {
  entryToKeep,
  equalBytes,
  isOwn,
  planKeys,
  seenAfter,
  type ConflictPolicy,
  type RegisteredKey,
  type SeenKey,
  type Situation,
} from './key-plan.ts';

/** A manual write without a lease is undone this often, then left alone. */
const MAX_REPAIRS = 5;

/** A registration undisturbed for this long is in peace again. */
const PEACE_MS = 60_000;

/** Where the keys of a registration stand, on one lease and one link. */
export type KeyState<T> =
  | { readonly status: 'pending'; readonly attempt: number; readonly cause?: Error }
  | { readonly status: 'held'; readonly present: PresentValues<T>; readonly revision: number }
  | { readonly status: 'withdrawn' }
  /** They were held, and somebody else deleted or overwrote one. */
  | { readonly status: 'gone'; readonly cause: Error };

/** What is remembered from lease to lease. */
export interface KeyMemory {
  /** The keys were ours, and not given up since: whoever has them now came later. */
  everHeld: boolean;
  repairs: number;
  disturbedAtMs: number;
  readonly formerLeases: Set<string>;
}

export interface HoldKeysOptions<T> {
  readonly link: Link;
  readonly leaseId: string;
  readonly keys: readonly RegisteredKey[];
  /** Replays its latest. */
  readonly desired$: Observable<Desired<T>>;
  readonly policy: ConflictPolicy;
  readonly confirm: 'write' | 'watch';
  readonly memory: KeyMemory;
  /** There is reason to doubt that the lease lives. */
  readonly onDoubt: () => void;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/**
 * Keeps keys under a lease as they are desired: one request at a time, so that writes keep their order and the
 * latest wins. A watch on each key tells of what somebody else does to it. Never completes; unsubscribing
 * leaves the keys to the lease.
 */
export function heldKeys$<T>(options: HoldKeysOptions<T>): Observable<KeyState<T>> {
  const { link, leaseId, keys, policy, memory, scheduler, random } = options;
  return new Observable<KeyState<T>>((subscriber) => {
    let seen: readonly SeenKey[] | undefined;
    let desired: Desired<T> | undefined;
    let isHeld = false;
    // What we made of the keys: whatever else they are is somebody else's doing.
    let made: readonly Uint8Array[] | undefined;
    let busy = false;
    let attempt = 0;
    let watches: Subscription | undefined;

    const situation = (): Situation => ({
      keys,
      seen,
      wanted: desired?.status === 'present' ? desired.bytes : undefined,
      leaseId,
      formerLeases: memory.formerLeases,
      policy,
      mayTakeOver: (entry) => !memory.everHeld || (entry.lease === '0' && memory.repairs <= MAX_REPAIRS),
    });

    const pause = (failures: number): void => {
      busy = true;
      subscriber.add(
        timer(backoffDelayMs(failures, random), scheduler).subscribe(() => {
          busy = false;
          lookAfresh();
        }),
      );
    };

    /** Nobody has told what happened since the watch was lost. */
    const lookAfresh = (): void => {
      if (watches === undefined) seen = undefined;
      step();
    };

    const failed = (fault: unknown): boolean => {
      // Not etcd's doing but a mistake in code: taken for weather, it would be retried for ever.
      if (!(fault instanceof EtcdFault)) {
        subscriber.error(fault);
        return false;
      }
      const fatal = fatalError(fault);
      if (fatal !== undefined) {
        subscriber.error(fatal);
        return false;
      }
      attempt += 1;
      if (!isHeld) subscriber.next({ status: 'pending', attempt, cause: fault });
      if (fault.kind === 'lease-gone') options.onDoubt();
      return true;
    };

    const step = (): void => {
      if (busy || desired === undefined || subscriber.closed) return;
      const now = situation();
      const cause = made && disturbance(now, made);
      if (cause !== undefined) {
        disturbed(cause);
        return;
      }
      const plan = planKeys(now);
      switch (plan.type) {
        case 'write':
          write(plan.request);
          return;
        case 'conflict': {
          const owner = plan.lease === '0' ? 'somebody without a lease' : `the owner of lease ${plan.lease}`;
          const cause = new RxEtcdError('key-conflict', `key ${JSON.stringify(plan.key)} is held by ${owner}`);
          if (policy === 'fail') subscriber.error(cause);
          else subscriber.next({ status: 'pending', attempt: 0, cause });
          return;
        }
        case 'settled':
          settled(desired, now.seen ?? []);
      }
    };

    const settled = (as: Desired<T>, known: readonly SeenKey[]): void => {
      attempt = 0;
      if (as.status === 'absent') {
        memory.everHeld = false;
        isHeld = false;
        subscriber.next({ status: 'withdrawn' });
        return;
      }
      if (options.confirm === 'watch' && !known.every(({ watched }) => watched)) return;
      memory.everHeld = true;
      isHeld = true;
      made = as.bytes;
      subscriber.next({
        status: 'held',
        present: as,
        revision: Math.max(...known.map(({ entry }) => entry?.modRevision ?? 0)),
      });
    };

    const disturbed = (cause: Error): void => {
      isHeld = false;
      made = undefined;
      const now = scheduler.now();
      memory.repairs = now - memory.disturbedAtMs > PEACE_MS ? 1 : memory.repairs + 1;
      memory.disturbedAtMs = now;
      // A lease that is revoked takes its keys along: then there is nothing to repair here.
      options.onDoubt();
      pause(memory.repairs);
      subscriber.next({ status: 'gone', cause });
    };

    const write = (request: TxnRequest): void => {
      busy = true;
      const target = request.then.some(({ type }) => type === 'put') ? situation().wanted : undefined;
      subscriber.add(
        defer(() => link.txn$(request)).subscribe({
          next: (answer) => {
            seen = seenAfter(situation(), request, answer);
            const wrote = answer.succeeded && request.then.some(({ type }) => type !== 'get');
            if (wrote) made = target;
            // From the write itself on, so that the watch tells of it.
            if (watches === undefined) watch(wrote ? answer.revision : answer.revision + 1, wrote);
            busy = false;
            step();
          },
          error: (error: unknown) => {
            if (failed(error)) pause(attempt);
          },
        }),
      );
    };

    const watch = (startRevision: number, catchesUp: boolean): void => {
      const started = new Subscription();
      watches = started;
      subscriber.add(started);
      for (const [index, { bytes, namespaceBytes }] of keys.entries()) {
        const request = { range: { key: bytes, namespaceBytes }, startRevision, catchesUp };
        started.add(
          defer(() => link.watch$(request)).subscribe({
            next: (message) => {
              if (seen === undefined) return;
              const known = seen[index] as SeenKey;
              const told = seenFromWatch(known, message, startRevision);
              if (told === known) return;
              seen = seen.with(index, told);
              step();
            },
            error: (error: unknown) => {
              started.unsubscribe();
              if (watches === started && failed(error)) watchAgain();
            },
          }),
        );
      }
    };

    const watchAgain = (): void => {
      watches = undefined;
      subscriber.add(
        timer(backoffDelayMs(Math.max(1, attempt), random), scheduler).subscribe(() => {
          // A request under way will tell, and watch from there; and whoever pauses looks afresh after it.
          if (!busy) lookAfresh();
        }),
      );
    };

    subscriber.add(
      options.desired$.subscribe({
        next: (next) => {
          desired = next;
          step();
        },
        error: (error: unknown) => {
          subscriber.error(error);
        },
      }),
    );
  });
}

function seenFromWatch(known: SeenKey, message: WatchMessage, startRevision: number): SeenKey {
  // A watch from behind what was read has nothing to tell of it: that it runs is enough.
  if (message.type === 'created') return known.asOf < startRevision ? { ...known, watched: true } : known;
  let told = known;
  for (const event of message.events) {
    if (event.modRevision < told.asOf) {
      // Read before it was told of.
      if (event.type === 'put' && event.modRevision === told.entry?.modRevision) told = { ...told, watched: true };
      continue;
    }
    const entry = event.type === 'put' ? entryToKeep(event) : undefined;
    told = { asOf: event.modRevision, entry, watched: true };
  }
  return told;
}

/** Why the keys are not what we made them, when they are not. */
function disturbance(situation: Situation, bytes: readonly Uint8Array[]): Error | undefined {
  if (situation.seen === undefined) return undefined;
  for (const [index, { name }] of situation.keys.entries()) {
    const entry = situation.seen[index]?.entry;
    const key = JSON.stringify(name);
    if (entry === undefined)
      return new RxEtcdError('key-conflict', `key ${key} was deleted: by somebody else, or with its lease`);
    if (!isOwn(situation, entry.lease) || !equalBytes(entry.value, bytes[index] as Uint8Array)) {
      return new RxEtcdError('key-conflict', `key ${key} was overwritten by somebody else`);
    }
  }
  return undefined;
}
