import {
  EMPTY,
  catchError,
  concat,
  defaultIfEmpty,
  defer,
  ignoreElements,
  merge,
  of,
  repeat,
  retry,
  switchMap,
  take,
  takeUntil,
  timer,
  type Observable,
  type SchedulerLike,
} from 'rxjs';
import { backoffDelayMs } from '../time/backoff.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { Connection, Member } from '../etcd/member.ts';
import { longTimer$ } from '../time/long-timer.ts';

/** After which a grant that was on its way when its answer was lost has reached the server, or never will. */
const STRAGGLER_MS = 1000;

export interface RevokeOptions {
  readonly connection: Connection;
  readonly leaseId: string;
  readonly ttlSeconds: number;
  /** The grant still in flight, if any: etcd may handle a revoke that overtakes it first, and find nothing. */
  readonly grant$: Observable<unknown>;
  /** Whether no answer to a grant was ever seen: it may arrive after the first revoke. */
  readonly unconfirmed: () => boolean;
  /** Whether the lease is somebody else's after all, as known once the grant was answered. */
  readonly isForeign: () => boolean;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/**
 * Revokes a lease over whatever member there is, and emits once: whether etcd confirmed it.
 *
 * Retried until the TTL has ended the lease anyway; then it emits `false`, so that a process which waits for
 * it, or for its sockets and timers, can end. Never fails.
 */
export function revoke$(options: RevokeOptions): Observable<boolean> {
  const { connection, leaseId, ttlSeconds, grant$, scheduler, random } = options;
  const revokeOn$ = (member: Member): Observable<never> =>
    defer(() => member.revoke$(leaseId)).pipe(
      retry({
        delay: (error: unknown, failures) => {
          if (!(error instanceof EtcdFault) || fatalError(error) !== undefined) throw error;
          return timer(backoffDelayMs(failures, random), scheduler);
        },
      }),
      repeat({ count: options.unconfirmed() ? 2 : 1, delay: () => timer(STRAGGLER_MS, scheduler) }),
      ignoreElements(),
    );
  const granted$: Observable<never> = grant$.pipe(
    ignoreElements(),
    catchError(() => EMPTY),
  );
  const revokedIfOwn$ = defer(() => (options.isForeign() ? of(true) : revoked$));
  const revoked$ = connection.drainingMember$.pipe(
    switchMap((state) => (state.status === 'down' ? EMPTY : concat(revokeOn$(state.member), of(true)))),
    take(1),
    catchError(() => of(false)),
  );
  // The connection is held from the start: the member that the grant is on must not close.
  const held$: Observable<never> = connection.drainingMember$.pipe(
    ignoreElements(),
    catchError(() => EMPTY),
  );
  return merge(held$, concat(granted$, revokedIfOwn$)).pipe(
    take(1),
    takeUntil(longTimer$(ttlSeconds * 1000, scheduler)),
    defaultIfEmpty(false),
  );
}
