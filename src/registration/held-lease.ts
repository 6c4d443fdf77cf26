import {
  AsyncSubject,
  EMPTY,
  Observable,
  Subject,
  catchError,
  concat,
  concatMap,
  defer,
  ignoreElements,
  of,
  repeat,
  startWith,
  switchMap,
  throwError,
  timer,
  type SchedulerLike,
} from 'rxjs';
import { backoffDelayMs } from '../etcd/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Connection, Link, LinkState, Renewal } from '../etcd/link.ts';
import { longTimer$ } from './long-timer.ts';
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

/** A lease held for one subscriber: granted, renewed, granted anew when lost, revoked in the end. */
export interface HeldLease {
  /** For one subscriber. Unsubscribing revokes the lease in the background, unless it was released. */
  readonly state$: Observable<HeldLeaseState>;
  /** Renews at once: there is reason to doubt that the lease lives. */
  readonly recheck: () => void;
  /** Revokes the lease, and emits once, whether etcd confirmed it: see {@link revoke$}. Goes on when unsubscribed. */
  readonly release$: Observable<boolean>;
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

/** @source https://etcd.io/docs/v3.5/learning/api/#lease-api */
export function holdLease({ connection, ttlSeconds, scheduler, random }: HoldLeaseOptions): HeldLease {
  const rechecks = new Subject<void>();
  let lease: Lease | undefined;
  let trouble: { readonly attempt: number; readonly cause?: Error } = { attempt: 0 };
  let suspendedSinceMs: number | undefined;

  const granting = (): LeaseState => ({ status: 'granting', ...trouble });

  const suspended = (held: Lease, cause: Error): LeaseState => {
    suspendedSinceMs ??= scheduler.now();
    const expiresAtMs = (held.renewedAtMs ?? 0) + held.ttlSeconds * 1000;
    return {
      status: 'suspended',
      leaseId: held.id,
      ttlSeconds: held.ttlSeconds,
      sinceMs: suspendedSinceMs,
      expiresAtMs,
      cause,
    };
  };

  const granted = (held: Lease): LeaseState => {
    suspendedSinceMs = undefined;
    trouble = { attempt: 0 };
    return { status: 'granted', leaseId: held.id, ttlSeconds: held.ttlSeconds, renewalLateMs: held.lateMs };
  };

  const failed = (cause: Error): LeaseState => {
    trouble = { attempt: trouble.attempt + 1, cause };
    return lease?.renewedAtMs === undefined ? granting() : suspended(lease, cause);
  };

  const grant$ = (link: Link): Observable<Lease> =>
    defer(() => {
      const isFirst = lease === undefined;
      const asked = (lease ??= {
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
      link
        .grant$(ttlSeconds, asked.id)
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
            lease = undefined;
            return throwError(() => error);
          }),
        )
        .subscribe(answer);
      return answer;
    });

  /** Renews and judges; a grant just answered (`fresh`) needs no renewal yet. Never completes by itself. */
  const keep$ = (link: Link, held: Lease, fresh: boolean): Observable<LeaseState> => {
    const ttlMs = (): number => held.ttlSeconds * 1000;
    // Counted from when the grant was sent: its answer may have taken a good part of the TTL.
    const firstDelayMs =
      fresh && held.renewedAtMs !== undefined
        ? Math.max(0, held.renewedAtMs + ((1 - random()) * ttlMs()) / 3 - scheduler.now())
        : 0;
    const renewal$ = rechecks.pipe(
      startWith(undefined),
      switchMap((_, index) => link.keepAlive$(held.id, held.ttlSeconds, index === 0 ? firstDelayMs : 0)),
    );
    return renewal$.pipe(
      startWith(undefined),
      switchMap((renewal?: Renewal) => {
        if (renewal !== undefined) {
          held.ttlSeconds = renewal.ttlSeconds;
          // In the future: the clock was set back since.
          const before = (held.renewedAtMs ?? 0) > scheduler.now() ? 0 : held.renewedAtMs;
          held.renewedAtMs = Math.max(before ?? 0, renewal.sentAtMs);
          held.lateMs = renewal.lateMs >= ttlMs() / 6 ? renewal.lateMs : 0;
        } else if (!fresh || held.renewedAtMs === undefined) {
          return EMPTY;
        }
        // At two thirds of the TTL a renewal is overdue by a third of it.
        const doubtInMs = held.renewedAtMs + (ttlMs() * 2) / 3 - scheduler.now();
        const doubt$ = longTimer$(doubtInMs, scheduler).pipe(
          concatMap(() =>
            of(suspended(held, new Error(`no renewal of lease ${held.id} was answered for two thirds of its TTL`))),
          ),
        );
        return doubtInMs > 0 ? concat(of(granted(held)), doubt$) : doubt$;
      }),
    );
  };

  const attempt$ = (link: Link): Observable<LeaseState> =>
    defer(() => {
      if (lease?.renewedAtMs !== undefined) return keep$(link, lease, false);
      return concat(of(granting()), grant$(link).pipe(concatMap((held) => keep$(link, held, true))));
    }).pipe(
      catchError((fault: unknown) => {
        // Not etcd's doing but a mistake in code: taken for weather, it would be retried for ever.
        if (!(fault instanceof EtcdFault)) return throwError(() => fault);
        const fatal = fatalError(fault);
        if (fatal !== undefined) return throwError(() => fatal);
        const wait$ = defer(() => timer(backoffDelayMs(Math.max(1, trouble.attempt), random), scheduler)).pipe(
          ignoreElements(),
        );
        if (fault.kind !== 'lease-gone' || lease === undefined) return concat(of(failed(fault)), wait$);
        // A new id: the old one may still be the target of a revoke by somebody else.
        const lost = lease;
        lease = undefined;
        suspendedSinceMs = undefined;
        trouble = { attempt: 0, cause: fault };
        return concat(of<LeaseState>({ status: 'lost', leaseId: lost.id, cause: fault }), wait$);
      }),
      repeat(),
    );

  const onLinkState$ = (state: LinkState): Observable<HeldLeaseState> => {
    if (state.status === 'down') return of({ lease: failed(state.cause), link: undefined });
    const { link } = state;
    return attempt$(link).pipe(concatMap((now) => of({ lease: now, link })));
  };

  const release$ = defer(() => {
    const revoked = lease;
    lease = undefined;
    if (revoked === undefined || revoked.grant$ === EMPTY) return of(true);
    const done = new AsyncSubject<boolean>();
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

  return {
    release$,
    recheck: () => {
      rechecks.next();
    },
    state$: new Observable((subscriber) => {
      // Before all else: the revoke takes hold of the connection while it is still open.
      subscriber.add(() => release$.subscribe());
      subscriber.next({ lease: granting(), link: undefined });
      connection.link$.pipe(switchMap(onLinkState$)).subscribe(subscriber);
    }),
  };
}
