import type { SchedulerLike } from 'rxjs';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Connection, ConnectionState, Member } from '../etcd/member.ts';
import { backoffDelayMs } from '../time/backoff.ts';
import { timerQueueOf, type QueuedTimer, type TimerQueue } from '../time/timer-queue.ts';
import { Activity, type ActivityOwner } from './activity.ts';
import { drainingListenersOf, type ConnectionListener, type ConnectionListeners } from './connection-listeners.ts';
import type { Grant } from './grant.ts';
import type { HeldLease } from './machine.ts';

/** A grant whose answer was lost mostly reaches the server within this time, or never. */
const STRAGGLER_MS = 1000;

export interface RevocationOptions {
  readonly connection: Connection;
  readonly lease: HeldLease;
  /** The last grant of it that was sent: a revoke that overtakes it would find nothing. */
  readonly grant: Grant | undefined;
  /** All grants of it that etcd has not answered, that one included: a member that is frozen may thaw. */
  readonly unanswered: readonly Grant[];
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
  /** Called once: whether etcd confirmed that the lease is gone. */
  readonly onDone: (confirmed: boolean) => void;
}

/**
 * Revokes a lease over the member there is: once more whenever it fails, until the TTL has ended the lease anyway.
 *
 * It goes on by itself, and keeps the connection, and so the process, for one TTL at most. While no answer to the grant
 * was seen, it may still be stuck in a member that is frozen: then the lease is revoked again and again, at growing
 * intervals, also after it was confirmed.
 */
export class Revocation implements ConnectionListener, ActivityOwner<Activity<'revoke'>> {
  readonly #options: RevocationOptions;
  readonly #listeners: ConnectionListeners;
  readonly #queue: TimerQueue;
  /** Grants sent before are regarded as answered, or lost. */
  readonly #regardedFromMs: number;
  readonly #deadline: QueuedTimer;
  readonly #pause: QueuedTimer;
  #member: Member | undefined;
  #call: Activity<'revoke'> | undefined;
  #isGrantThrough = false;
  #failures = 0;
  #answers = 0;
  #isReported = false;
  #isEnded = false;

  constructor(options: RevocationOptions) {
    this.#options = options;
    this.#listeners = drainingListenersOf(options.connection);
    this.#queue = timerQueueOf(options.scheduler);
    const { lease, scheduler } = options;
    // A connection that was lost in the first second must not delay the end of a process months later.
    this.#regardedFromMs = lease.renewedAtMs === undefined ? -Infinity : scheduler.now() - lease.ttlSeconds * 1000;
    this.#deadline = { dueMs: undefined, fire: () => this.#end(false) };
    this.#pause = { dueMs: undefined, fire: () => this.#revoke() };
  }

  start(): void {
    const { lease, grant } = this.#options;
    // The queue counts in whole milliseconds and rounds up.
    this.#queue.set(this.#deadline, lease.ttlSeconds * 1000 - 1);
    // From the start: the member that the grant is on must not close.
    this.#listeners.add(this);
    if (grant === undefined) this.#grantThrough();
    else grant.whenThrough(() => this.#grantThrough());
  }

  next(state: ConnectionState): void {
    this.#call?.end();
    this.#call = undefined;
    this.#member = state.status === 'up' ? state.member : undefined;
    if (this.#isGrantThrough) this.#revoke();
  }

  error(): void {
    this.#end(false);
  }

  onValue(): void {
    this.#call?.end();
    this.#call = undefined;
    this.#failures = 0;
    this.#answers += 1;
    const isUnanswered = this.#isUnanswered();
    // It was there, and is gone; or it was asked for twice, and there was time to come through in between.
    if (this.#options.lease.renewedAtMs !== undefined || this.#answers > 1 || !isUnanswered) this.#report(true);
    if (isUnanswered) this.#queue.set(this.#pause, this.#stragglerMs());
    else this.#end(true);
  }

  onFault(_: Activity<'revoke'>, fault: unknown): void {
    this.#call = undefined;
    if (!(fault instanceof EtcdFault) || fatalError(fault) !== undefined) {
      this.#end(false);
      return;
    }
    this.#failures += 1;
    this.#queue.set(this.#pause, this.#backoffMs());
  }

  #grantThrough(): void {
    this.#isGrantThrough = true;
    // Another owner's lease under the same id, as etcd has told meanwhile.
    if (this.#options.grant?.isForeign === true) this.#end(true);
    else this.#revoke();
  }

  /** Whether a grant may still come through, on a lease that was revoked before. */
  #isUnanswered(): boolean {
    return this.#options.unanswered.some((grant) => !grant.isAnswered && grant.sentAtMs >= this.#regardedFromMs);
  }

  /** At growing intervals, none longer than an eighth of the time there is. */
  #stragglerMs(): number {
    return Math.min(STRAGGLER_MS * 2 ** (this.#answers - 1), this.#options.lease.ttlSeconds * 125);
  }

  #backoffMs(): number {
    try {
      return backoffDelayMs(this.#failures, this.#options.random);
    } catch {
      // The user's `random` threw: the registration is over, and nobody is left to be told.
      return backoffDelayMs(this.#failures, () => 1);
    }
  }

  #revoke(): void {
    const member = this.#member;
    if (this.#isEnded || member === undefined || this.#call !== undefined) return;
    this.#queue.cancel(this.#pause);
    this.#call = new Activity(this, 'revoke');
    this.#call.begin(() => member.revoke$(this.#options.lease.id));
  }

  #report(confirmed: boolean): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#options.onDone(confirmed);
  }

  #end(confirmed: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#call?.end();
    this.#queue.cancel(this.#deadline);
    this.#queue.cancel(this.#pause);
    this.#listeners.remove(this);
    this.#report(confirmed);
  }
}
