import {
  AsyncSubject,
  EMPTY,
  Observable,
  catchError,
  concatMap,
  defer,
  of,
  throwError,
  timer,
  type SchedulerLike,
  type Subscriber,
  type Subscription,
} from 'rxjs';
import { alarmClockOf, type Alarm, type AlarmClock } from '../etcd/alarm-clock.ts';
import { backoffDelayMs } from '../etcd/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Connection, Link, LinkState, Renewal } from '../etcd/link.ts';
import { newLeaseId } from './lease-id.ts';
import type { LeaseState } from './lease-state.ts';
import { revoke$ } from './revoke.ts';
export interface HoldLeaseOptions {
  readonly connection: Connection;
  readonly ttlSeconds: number;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/** A lease state, and the link to use the lease on; none while there is no connection. */
export interface HeldLeaseState {
  readonly lease: LeaseState;
  readonly link: Link | undefined;
}

interface Trouble {
  readonly attempt: number;
  readonly cause?: Error;
}

const NO_TROUBLE: Trouble = { attempt: 0 };

interface Lease {
  readonly id: string;
  ttlSeconds: number;
  /** When the last answered renewal (or the grant) was sent; `undefined` while no grant was answered. */
  renewedAtMs: number | undefined;
  lateMs: number;
  /** It was granted to somebody else, under the same id. */
  isForeign: boolean;
  /** The last grant sent, until it came through. It is never cancelled: a revoke must know that it is through. */
  grant$: Observable<unknown>;
}

/**
 * A lease held for one subscriber: granted, renewed, granted anew when lost, revoked in the end.
 *
 * Written by hand and not with operators: ten thousand of them are held by one process, and each operator on the way
 * would keep half a kilobyte.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#lease-api
 */
export class HeldLease implements Alarm {
  /** For one subscriber. Unsubscribing revokes the lease in the background, unless it was released. */
  readonly state$: Observable<HeldLeaseState>;
  /** As an alarm it rings when the lease is to be doubted, or a little before. */
  ringsAtMs: number | undefined = undefined;
  readonly #options: HoldLeaseOptions;
  readonly #clock: AlarmClock;
  #subscriber: Subscriber<HeldLeaseState> | undefined;
  #lease: Lease | undefined;
  #trouble: Trouble = NO_TROUBLE;
  #suspendedSinceMs: number | undefined;
  /** Counts what is begun: over a link, and after a fault of it. Whoever tells of it looks whether it still goes on. */
  #phase = 0;
  /** What goes on: a grant, or renewals, or the wait after a fault. */
  #running: Subscription | undefined;
  /** Where the lease is being renewed. */
  #renewedOn: Link | undefined;
  /** When the lease is to be doubted, by the time of the clock. */
  #doubtAtMs = 0;

  constructor(options: HoldLeaseOptions) {
    this.#options = options;
    this.#clock = alarmClockOf(options.scheduler);
    this.state$ = new Observable((subscriber) => {
      this.#start(subscriber);
    });
  }

  /** Renews at once: there is reason to doubt that the lease lives. */
  recheck(): void {
    if (this.#renewedOn !== undefined && this.#lease !== undefined) this.#renew(this.#renewedOn, this.#lease, 0);
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

  #start(subscriber: Subscriber<HeldLeaseState>): void {
    this.#subscriber = subscriber;
    subscriber.add(() => {
      // Before all else: the revoke takes hold of the connection while it is still open.
      this.release$().subscribe();
      this.#nextPhase();
    });
    this.#tell(this.#granting(), undefined);
    if (subscriber.closed) return;
    subscriber.add(
      this.#options.connection.link$.subscribe({
        next: (state) => {
          this.#onLinkState(state);
        },
        error: (error: unknown) => {
          subscriber.error(error);
        },
      }),
    );
  }

  #tell(lease: LeaseState, link: Link | undefined): void {
    this.#subscriber?.next({ lease, link });
  }

  #onLinkState(state: LinkState): void {
    this.#nextPhase();
    if (state.status === 'down') this.#tell(this.#failed(state.cause), undefined);
    else this.#attempt(state.link);
  }

  #nextPhase(): void {
    this.#phase += 1;
    this.#renewedOn = undefined;
    this.#clock.cancel(this);
    this.#running?.unsubscribe();
    this.#running = undefined;
  }

  /** Runs this, and nothing else, until it fails or another phase begins. What it tells, it tells of this phase. */
  #run<T>(source$: Observable<T>, link: Link, next: (value: T) => void): void {
    this.#running?.unsubscribe();
    this.#running = undefined;
    const phase = this.#phase;
    const subscription = source$.subscribe({
      next,
      error: (error: unknown) => {
        this.#onFault(link, error);
      },
    });
    // It may have gone on to something else by now.
    if (this.#phase === phase) this.#running ??= subscription;
    else subscription.unsubscribe();
  }

  #attempt(link: Link): void {
    if (this.#lease?.renewedAtMs !== undefined) {
      this.#keep(link, this.#lease, false);
      return;
    }
    const phase = this.#phase;
    this.#tell(this.#granting(), link);
    if (this.#phase !== phase) return;
    this.#run(this.#grant$(link), link, (lease) => {
      this.#keep(link, lease, true);
    });
  }

  #grant$(link: Link): Observable<Lease> {
    const { ttlSeconds, scheduler, random } = this.#options;
    const isFirst = this.#lease === undefined;
    const asked = (this.#lease ??= {
      id: newLeaseId(random),
      ttlSeconds,
      renewedAtMs: undefined,
      lateMs: 0,
      isForeign: false,
      grant$: EMPTY,
    });
    const sentAtMs = scheduler.now();
    const answer = new AsyncSubject<Lease>();
    asked.grant$ = answer;
    defer(() => link.grant$(ttlSeconds, asked.id))
      .pipe(
        concatMap((grant) => {
          asked.ttlSeconds = grant.ttlSeconds;
          asked.renewedAtMs = sentAtMs;
          asked.grant$ = EMPTY;
          return of(asked);
        }),
        // An earlier grant came through, and its answer did not. The first renewal tells the rest.
        catchError((error: unknown) => {
          if (!(error instanceof EtcdFault) || error.kind !== 'lease-exists') return throwError(() => error);
          if (!isFirst) return of(asked);
          // Not ours: another source of randomness is like this one. To be left alone, and another id drawn.
          asked.isForeign = true;
          this.#lease = undefined;
          return throwError(() => error);
        }),
      )
      .subscribe(answer);
    return answer;
  }

  /** Renews and judges; a grant just answered (`fresh`) needs no renewal yet. */
  #keep(link: Link, lease: Lease, fresh: boolean): void {
    const { random, scheduler } = this.#options;
    const phase = this.#phase;
    let firstDelayMs = 0;
    if (fresh && lease.renewedAtMs !== undefined) {
      // Counted from when the grant was sent: its answer may have taken a good part of the TTL.
      const thirdMs = (lease.ttlSeconds * 1000) / 3;
      firstDelayMs = Math.max(0, lease.renewedAtMs + (1 - random()) * thirdMs - scheduler.now());
      this.#judge(link, lease, lease.renewedAtMs);
      if (this.#phase !== phase) return;
    }
    this.#renewedOn = link;
    this.#renew(link, lease, firstDelayMs);
  }

  #renew(link: Link, lease: Lease, firstDelayMs: number): void {
    const renewal$ = defer(() => link.keepAlive$(lease.id, lease.ttlSeconds, firstDelayMs));
    this.#run(renewal$, link, (renewal) => {
      this.#onRenewal(link, lease, renewal);
    });
  }

  #onRenewal(link: Link, lease: Lease, { ttlSeconds, sentAtMs, lateMs }: Renewal): void {
    lease.ttlSeconds = ttlSeconds;
    // In the future: the clock was set back since.
    const isInFuture = (lease.renewedAtMs ?? 0) > this.#options.scheduler.now();
    lease.renewedAtMs = isInFuture ? sentAtMs : Math.max(lease.renewedAtMs ?? 0, sentAtMs);
    lease.lateMs = lateMs >= (ttlSeconds * 1000) / 6 ? lateMs : 0;
    this.#judge(link, lease, lease.renewedAtMs);
  }

  /** Believes in the lease until two thirds of the TTL are over: then a renewal is overdue by a third of it. */
  #judge(link: Link, lease: Lease, renewedAtMs: number): void {
    const doubtInMs = renewedAtMs + (lease.ttlSeconds * 2000) / 3 - this.#options.scheduler.now();
    this.#doubtAtMs = this.#clock.nowMs() + doubtInMs;
    // One that rings too early is set again then: cheaper than at each renewal.
    if (this.ringsAtMs === undefined || this.ringsAtMs > this.#doubtAtMs) this.#clock.set(this, doubtInMs);
    if (doubtInMs > 0) this.#tell(this.#granted(lease), link);
  }

  ring(): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    const doubtInMs = this.#doubtAtMs - this.#clock.nowMs();
    if (doubtInMs > 0) {
      this.#clock.set(this, doubtInMs);
      return;
    }
    const cause = new Error(`no renewal of lease ${lease.id} was answered for two thirds of its TTL`);
    this.#tell(this.#suspended(lease, cause), this.#renewedOn);
  }

  #onFault(link: Link, fault: unknown): void {
    this.#nextPhase();
    const phase = this.#phase;
    // Not etcd's doing but a mistake in code: taken for weather, it would be retried for ever.
    const fatal = fault instanceof EtcdFault ? fatalError(fault) : fault;
    if (fatal !== undefined) {
      this.#subscriber?.error(fatal);
      return;
    }
    const cause = fault as EtcdFault;
    if (cause.kind !== 'lease-gone' || this.#lease === undefined) this.#tell(this.#failed(cause), link);
    else {
      // A new id: the old one may still be the target of a revoke by somebody else.
      const { id } = this.#lease;
      this.#lease = undefined;
      this.#suspendedSinceMs = undefined;
      this.#trouble = { attempt: 0, cause };
      this.#tell({ status: 'lost', leaseId: id, cause }, link);
    }
    if (this.#phase !== phase) return;
    const { random, scheduler } = this.#options;
    const delayMs = backoffDelayMs(Math.max(1, this.#trouble.attempt), random);
    this.#run(timer(delayMs, scheduler), link, () => {
      this.#attempt(link);
    });
  }

  #granting(): LeaseState {
    return { status: 'granting', ...this.#trouble };
  }

  #granted({ id, ttlSeconds, lateMs }: Lease): LeaseState {
    this.#suspendedSinceMs = undefined;
    this.#trouble = NO_TROUBLE;
    return { status: 'granted', leaseId: id, ttlSeconds, renewalLateMs: lateMs };
  }

  #suspended({ id, ttlSeconds, renewedAtMs = 0 }: Lease, cause: Error): LeaseState {
    this.#suspendedSinceMs ??= this.#options.scheduler.now();
    const expiresAtMs = renewedAtMs + ttlSeconds * 1000;
    return { status: 'suspended', leaseId: id, ttlSeconds, sinceMs: this.#suspendedSinceMs, expiresAtMs, cause };
  }

  #failed(cause: Error): LeaseState {
    this.#trouble = { attempt: this.#trouble.attempt + 1, cause };
    return this.#lease?.renewedAtMs === undefined ? this.#granting() : this.#suspended(this.#lease, cause);
  }
}
