import {
  AsyncSubject,
  EMPTY,
  Observable,
  Subscription,
  catchError,
  concatMap,
  defer,
  of,
  throwError,
  timer,
  type SchedulerLike,
  type Subscriber,
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

interface Lease {
  readonly id: string;
  ttlSeconds: number;
  /** When the last answered renewal (or the grant) was sent; `undefined` while no grant was answered. */
  renewedAtMs: number | undefined;
  lateMs: number;
  /** It was granted to somebody else, under the same id. */
  isForeign: boolean;
  /** The last grant sent. It is never cancelled: a revoke must know that it is through. */
  grant$: Observable<unknown>;
}

/**
 * A lease held for one subscriber: granted, renewed, granted anew when lost, revoked in the end.
 *
 * Written by hand and not with operators: ten thousand of them are held by one process, and each operator on the way
 * would keep a kilobyte.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#lease-api
 */
export class HeldLease {
  /** For one subscriber. Unsubscribing revokes the lease in the background, unless it was released. */
  readonly state$: Observable<HeldLeaseState>;
  readonly #options: HoldLeaseOptions;
  readonly #clock: AlarmClock;
  #subscriber: Subscriber<HeldLeaseState> | undefined;
  #lease: Lease | undefined;
  #trouble: { readonly attempt: number; readonly cause?: Error } = { attempt: 0 };
  #suspendedSinceMs: number | undefined;
  /** What goes on over the present link, until it fails or another link comes. */
  #phase = new Subscription();
  #renewals: Subscription | undefined;
  #doubt: Alarm | undefined;
  #renewAtOnce: (() => void) | undefined;

  constructor(options: HoldLeaseOptions) {
    this.#options = options;
    this.#clock = alarmClockOf(options.scheduler);
    this.state$ = new Observable((subscriber) => {
      this.#start(subscriber);
    });
  }

  /** Renews at once: there is reason to doubt that the lease lives. */
  recheck(): void {
    this.#renewAtOnce?.();
  }

  /** Revokes the lease, and emits once, whether etcd confirmed it: see {@link revoke$}. Goes on when unsubscribed. */
  release$(): Observable<boolean> {
    return defer(() => {
      const revoked = this.#lease;
      this.#lease = undefined;
      if (revoked === undefined || revoked.grant$ === EMPTY) return of(true);
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
    // Before all else: the revoke takes hold of the connection while it is still open.
    subscriber.add(() => this.release$().subscribe());
    subscriber.add(() => {
      this.#phase.unsubscribe();
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
    const phase = this.#nextPhase();
    if (state.status === 'down') this.#tell(this.#failed(state.cause), undefined);
    else this.#attempt(phase, state.link);
  }

  #nextPhase(): Subscription {
    this.#phase.unsubscribe();
    this.#phase = new Subscription(() => {
      this.#renewAtOnce = undefined;
      this.#renewals = undefined;
      this.#stopDoubting();
    });
    return this.#phase;
  }

  #attempt(phase: Subscription, link: Link): void {
    if (this.#lease?.renewedAtMs !== undefined) {
      this.#keep(phase, link, this.#lease, false);
      return;
    }
    this.#tell(this.#granting(), link);
    if (phase.closed) return;
    phase.add(
      this.#grant$(link).subscribe({
        next: (lease) => {
          this.#keep(phase, link, lease, true);
        },
        error: (error: unknown) => {
          this.#onFault(link, error);
        },
      }),
    );
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
  #keep(phase: Subscription, link: Link, lease: Lease, fresh: boolean): void {
    const { random, scheduler } = this.#options;
    let firstDelayMs = 0;
    if (fresh && lease.renewedAtMs !== undefined) {
      // Counted from when the grant was sent: its answer may have taken a good part of the TTL.
      const thirdMs = (lease.ttlSeconds * 1000) / 3;
      firstDelayMs = Math.max(0, lease.renewedAtMs + (1 - random()) * thirdMs - scheduler.now());
      this.#judge(phase, link, lease, lease.renewedAtMs);
      if (phase.closed) return;
    }
    this.#renewAtOnce = () => {
      this.#renew(phase, link, lease, 0);
    };
    this.#renew(phase, link, lease, firstDelayMs);
  }

  #renew(phase: Subscription, link: Link, lease: Lease, firstDelayMs: number): void {
    this.#renewals?.unsubscribe();
    const renewals = new Subscription();
    this.#renewals = renewals;
    phase.add(renewals);
    let renewal$: Observable<Renewal>;
    try {
      renewal$ = link.keepAlive$(lease.id, lease.ttlSeconds, firstDelayMs);
    } catch (error) {
      this.#onFault(link, error);
      return;
    }
    renewals.add(
      renewal$.subscribe({
        next: (renewal) => {
          this.#onRenewal(phase, link, lease, renewal);
        },
        error: (error: unknown) => {
          this.#onFault(link, error);
        },
      }),
    );
  }

  #onRenewal(phase: Subscription, link: Link, lease: Lease, { ttlSeconds, sentAtMs, lateMs }: Renewal): void {
    lease.ttlSeconds = ttlSeconds;
    // In the future: the clock was set back since.
    const isInFuture = (lease.renewedAtMs ?? 0) > this.#options.scheduler.now();
    lease.renewedAtMs = isInFuture ? sentAtMs : Math.max(lease.renewedAtMs ?? 0, sentAtMs);
    lease.lateMs = lateMs >= (ttlSeconds * 1000) / 6 ? lateMs : 0;
    this.#judge(phase, link, lease, lease.renewedAtMs);
  }

  /** Believes in the lease until two thirds of the TTL are over: then a renewal is overdue by a third of it. */
  #judge(phase: Subscription, link: Link, lease: Lease, renewedAtMs: number): void {
    this.#stopDoubting();
    const doubtInMs = renewedAtMs + (lease.ttlSeconds * 2000) / 3 - this.#options.scheduler.now();
    if (doubtInMs > 0) {
      this.#tell(this.#granted(lease), link);
      if (phase.closed || this.#doubt !== undefined) return;
    }
    this.#doubt = this.#clock.set(doubtInMs, () => {
      this.#doubt = undefined;
      const cause = new Error(`no renewal of lease ${lease.id} was answered for two thirds of its TTL`);
      this.#tell(this.#suspended(lease, cause), link);
    });
  }

  #stopDoubting(): void {
    if (this.#doubt !== undefined) this.#clock.cancel(this.#doubt);
    this.#doubt = undefined;
  }

  #onFault(link: Link, fault: unknown): void {
    const phase = this.#nextPhase();
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
    if (phase.closed) return;
    const { random, scheduler } = this.#options;
    phase.add(
      timer(backoffDelayMs(Math.max(1, this.#trouble.attempt), random), scheduler).subscribe(() => {
        this.#attempt(phase, link);
      }),
    );
  }

  #granting(): LeaseState {
    return { status: 'granting', ...this.#trouble };
  }

  #granted({ id, ttlSeconds, lateMs }: Lease): LeaseState {
    this.#suspendedSinceMs = undefined;
    this.#trouble = { attempt: 0 };
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
