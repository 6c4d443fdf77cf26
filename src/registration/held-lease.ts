import { AsyncSubject, defer, of, timer, type Observable, type SchedulerLike, type Subscription } from 'rxjs';
import { timerQueueOf, type QueuedTimer, type TimerQueue } from '../time/timer-queue.ts';
import { backoffDelayMs } from '../time/backoff.ts';
import { passingError, type PassingError } from '../errors.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Connection, Member, ConnectionState, Renewal } from '../etcd/member.ts';
import { askFor$, newLease, type Lease } from './lease-grant.ts';
import type { LeaseState } from './lease-state.ts';
import { listenersOf, type ConnectionListener } from './connection-listeners.ts';
import { Part } from './part.ts';
import { revoke$ } from './revoke.ts';

export interface HoldLeaseOptions {
  readonly connection: Connection;
  readonly ttlSeconds: number;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/** A lease state, and the member to use the lease on; none while there is no connection. */
export interface HeldLeaseState {
  readonly lease: LeaseState;
  readonly member: Member | undefined;
}

interface Trouble {
  readonly attempt: number;
  readonly cause?: PassingError;
}

const NO_TROUBLE: Trouble = { attempt: 0 };

/** Who is told how a lease is getting on. */
export interface LeaseHolder {
  onLeaseState(state: HeldLeaseState): void;
  /** The last that is told. */
  onLeaseError(error: unknown): void;
}

/**
 * A lease held for somebody: granted, renewed, granted anew when lost, revoked in the end.
 *
 * Written by hand, without operators and nearly without closures: ten thousand of them are held by one process, and each
 * operator on the way would keep half a kilobyte. As a listener it is told of the members of the connection, as an alarm
 * it rings when the lease is to be doubted, or a little before.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#lease-api
 */
export class HeldLease implements QueuedTimer, ConnectionListener {
  dueMs: number | undefined = undefined;
  readonly #options: HoldLeaseOptions;
  readonly #holder: LeaseHolder;
  readonly #clock: TimerQueue;
  /** The member there is. */
  #member: Member | undefined;
  #lease: Lease | undefined;
  #trouble: Trouble = NO_TROUBLE;
  #suspendedSinceMs: number | undefined;
  /** Counts what is begun: over a member, and after a fault of it. Whoever tells the holder looks whether it still goes on. */
  #phase = 0;
  /** What goes on: a grant, or renewals, or the wait after a fault. */
  #running: Subscription | undefined;
  #isRenewing = false;
  /** When the lease is to be doubted, by the time of the clock. */
  #doubtAtMs = 0;
  /** Whether the last state that was told of this phase is `granted`, and with what. */
  #isToldGranted = false;
  #toldTtlSeconds = 0;
  #toldLateMs = 0;
  #stopped = false;

  constructor(options: HoldLeaseOptions, holder: LeaseHolder) {
    this.#options = options;
    this.#holder = holder;
    this.#clock = timerQueueOf(options.scheduler);
  }

  start(): void {
    this.#tell(this.#granting());
    if (!this.#stopped) listenersOf(this.#options.connection).add(this);
  }

  /** Revokes the lease in the background, unless it was released. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // Before all else: the revoke takes hold of the connection while it is still open.
    this.release$().subscribe();
    this.#nextPhase();
    listenersOf(this.#options.connection).remove(this);
  }

  /** Renews at once: there is reason to doubt that the lease lives. */
  recheck(): void {
    if (this.#isRenewing && this.#lease !== undefined) this.#renew(this.#lease, 0);
  }

  /** Revokes the lease, and emits once, whether etcd confirmed it: see {@link revoke$}. Goes on when unsubscribed. */
  release$(): Observable<boolean> {
    return defer(() => {
      const revoked = this.#lease;
      this.#lease = undefined;
      if (revoked === undefined) return of(true);
      const done = new AsyncSubject<boolean>();
      const { connection, scheduler, random } = this.#options;
      revoke$({
        connection,
        leaseId: revoked.id,
        ttlSeconds: revoked.ttlSeconds,
        grant$: revoked.grant$,
        unconfirmed: () => revoked.renewedAtMs === undefined,
        isForeign: () => revoked.isForeign,
        scheduler,
        random,
      }).subscribe(done);
      return done;
    });
  }

  next(state: ConnectionState): void {
    this.#nextPhase();
    this.#member = state.status === 'up' ? state.member : undefined;
    if (state.status === 'down') this.#tell(this.#failed(state.cause.passing));
    else this.#attempt(state.member);
  }

  error(error: unknown): void {
    if (this.#stopped) return;
    this.#holder.onLeaseError(error);
    this.stop();
  }

  fire(): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    const doubtInMs = this.#doubtAtMs - this.#clock.nowMs();
    if (doubtInMs > 0) {
      this.#clock.set(this, doubtInMs);
      return;
    }
    const cause = passingError('timeout', `no renewal of lease ${lease.id} was answered for two thirds of its TTL`);
    this.#tell(this.#suspended(lease, cause));
  }

  #tell(lease: LeaseState): void {
    this.#isToldGranted = lease.status === 'granted';
    if (!this.#stopped) this.#holder.onLeaseState({ lease, member: this.#member });
  }

  #nextPhase(): void {
    this.#phase += 1;
    this.#isToldGranted = false;
    this.#isRenewing = false;
    this.#clock.cancel(this);
    this.#running?.unsubscribe();
    this.#running = undefined;
  }

  /** Runs this, and nothing else, until it fails or another phase begins. */
  #run<T>(source$: Observable<T>, next: (held: HeldLease, value: T) => void): void {
    this.#running?.unsubscribe();
    this.#running = undefined;
    const phase = this.#phase;
    const subscription = source$.subscribe(new Part<HeldLease, T>(this, next, HeldLease.#onFault));
    // It may have gone on to something else by now.
    if (this.#phase === phase) this.#running ??= subscription;
    if (this.#running !== subscription) subscription.unsubscribe();
  }

  #attempt(member: Member): void {
    if (this.#lease?.renewedAtMs !== undefined) {
      this.#keep(this.#lease, false);
      return;
    }
    const phase = this.#phase;
    this.#tell(this.#granting());
    if (this.#phase !== phase) return;
    this.#run(this.#grant$(member), HeldLease.#onGranted);
  }

  static readonly #onGranted = (held: HeldLease, lease: Lease): void => {
    held.#keep(lease, true);
  };

  #grant$(member: Member): Observable<Lease> {
    const { ttlSeconds, scheduler, random } = this.#options;
    const isFirst = this.#lease === undefined;
    const asked = (this.#lease ??= newLease(ttlSeconds, random));
    return askFor$(asked, member, isFirst, scheduler, () => {
      this.#lease = undefined;
    });
  }

  /** Renews and judges; a grant just answered (`fresh`) needs no renewal yet. */
  #keep(lease: Lease, fresh: boolean): void {
    const { random, scheduler } = this.#options;
    const phase = this.#phase;
    let firstDelayMs = 0;
    if (fresh && lease.renewedAtMs !== undefined) {
      // Counted from when the grant was sent: its answer may have taken a good part of the TTL.
      const thirdMs = (lease.ttlSeconds * 1000) / 3;
      const dueInMs = lease.renewedAtMs + (1 - random()) * thirdMs - scheduler.now();
      // Not later, if the clock was set back meanwhile.
      firstDelayMs = Math.min(thirdMs, Math.max(0, dueInMs));
      this.#judge(lease, lease.renewedAtMs);
      if (this.#phase !== phase) return;
    }
    this.#isRenewing = true;
    this.#renew(lease, firstDelayMs);
  }

  #renew(lease: Lease, firstDelayMs: number): void {
    const member = this.#member as Member;
    this.#run(
      defer(() => member.keepAlive$(lease.id, lease.ttlSeconds, firstDelayMs)),
      HeldLease.#onRenewal,
    );
  }

  static readonly #onRenewal = (held: HeldLease, { ttlSeconds, sentAtMs, lateMs }: Renewal): void => {
    const lease = held.#lease;
    if (lease === undefined) return;
    lease.ttlSeconds = ttlSeconds;
    // In the future: the clock was set back since.
    const isInFuture = (lease.renewedAtMs ?? 0) > held.#options.scheduler.now();
    lease.renewedAtMs = isInFuture ? sentAtMs : Math.max(lease.renewedAtMs ?? 0, sentAtMs);
    lease.lateMs = lateMs >= (ttlSeconds * 1000) / 6 ? lateMs : 0;
    held.#judge(lease, lease.renewedAtMs);
  };

  /** Believes in the lease until two thirds of the TTL are over: then a renewal is overdue by a third of it. */
  #judge(lease: Lease, renewedAtMs: number): void {
    const agoMs = this.#options.scheduler.now() - renewedAtMs;
    // Not in the future: the clock was set back since.
    const doubtInMs = (lease.ttlSeconds * 2000) / 3 - Math.max(0, agoMs);
    this.#doubtAtMs = this.#clock.nowMs() + doubtInMs;
    // One that rings too early is set again then: cheaper than at each renewal.
    if (this.dueMs === undefined || this.dueMs > this.#doubtAtMs) this.#clock.set(this, doubtInMs);
    if (doubtInMs <= 0) return;
    // Ten thousand leases are renewed all the time, and nothing is new about them.
    if (this.#isToldGranted && this.#toldTtlSeconds === lease.ttlSeconds && this.#toldLateMs === lease.lateMs) return;
    this.#tell(this.#granted(lease));
  }

  static readonly #onFault = (held: HeldLease, fault: unknown): void => {
    held.#nextPhase();
    // Not etcd's doing but a mistake in code: taken for weather, it would be retried for ever.
    const fatal = fault instanceof EtcdFault ? fatalError(fault) : fault;
    if (fatal !== undefined) held.error(fatal);
    else held.#recover(fault as EtcdFault);
  };

  #recover(cause: EtcdFault): void {
    const phase = this.#phase;
    if (cause.kind !== 'lease-gone' || this.#lease === undefined) this.#tell(this.#failed(cause.passing));
    else {
      // A new id: the old one may still be the target of a revoke by somebody else.
      const { id } = this.#lease;
      this.#lease = undefined;
      this.#suspendedSinceMs = undefined;
      this.#trouble = { attempt: 0, cause: cause.passing };
      this.#tell({ status: 'lost', leaseId: id, cause: cause.passing });
    }
    if (this.#phase !== phase) return;
    const { random, scheduler } = this.#options;
    const delayMs = backoffDelayMs(Math.max(1, this.#trouble.attempt), random);
    this.#run(timer(delayMs, scheduler), HeldLease.#onPauseOver);
  }

  static readonly #onPauseOver = (held: HeldLease): void => {
    held.#attempt(held.#member as Member);
  };

  #granting(): LeaseState {
    return { status: 'granting', ...this.#trouble };
  }

  #granted({ id, ttlSeconds, lateMs }: Lease): LeaseState {
    this.#suspendedSinceMs = undefined;
    this.#trouble = NO_TROUBLE;
    this.#toldTtlSeconds = ttlSeconds;
    this.#toldLateMs = lateMs;
    return { status: 'granted', leaseId: id, ttlSeconds, renewalLateMs: lateMs };
  }

  #suspended({ id, ttlSeconds, renewedAtMs = 0 }: Lease, cause: PassingError): LeaseState {
    this.#suspendedSinceMs ??= this.#options.scheduler.now();
    const expiresAtMs = renewedAtMs + ttlSeconds * 1000;
    return { status: 'suspended', leaseId: id, ttlSeconds, sinceMs: this.#suspendedSinceMs, expiresAtMs, cause };
  }

  #failed(cause: PassingError): LeaseState {
    this.#trouble = { attempt: this.#trouble.attempt + 1, cause };
    return this.#lease?.renewedAtMs === undefined ? this.#granting() : this.#suspended(this.#lease, cause);
  }
}
