import { AsyncSubject, EMPTY, defer, type Observable, type SchedulerLike } from 'rxjs';
import { EtcdFault } from '../etcd/faults.ts';
import type { Member } from '../etcd/member.ts';
import { newLeaseId } from './lease-id.ts';

/** A lease as it is held; it is one of ours only once a grant was answered. */
export interface Lease {
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

export function newLease(ttlSeconds: number, random: () => number): Lease {
  return { id: newLeaseId(random), ttlSeconds, renewedAtMs: undefined, lateMs: 0, isForeign: false, grant$: EMPTY };
}

/**
 * Asks for the lease, at once, and emits it when it is granted. Unsubscribing does not take it back.
 *
 * @param isFirst whether nobody asked for it before: then one that exists is another's, and `onForeign` is called.
 */
export function askFor$(
  lease: Lease,
  member: Member,
  isFirst: boolean,
  scheduler: SchedulerLike,
  onForeign: () => void,
): Observable<Lease> {
  const sentAtMs = scheduler.now();
  const answer = new AsyncSubject<Lease>();
  lease.grant$ = answer;
  const granted = (): void => {
    answer.next(lease);
    answer.complete();
  };
  defer(() => member.grant$(lease.ttlSeconds, lease.id)).subscribe({
    next: (grant) => {
      lease.ttlSeconds = grant.ttlSeconds;
      lease.renewedAtMs = sentAtMs;
      if (lease.grant$ === answer) lease.grant$ = EMPTY;
      granted();
    },
    error: (error: unknown) => {
      const exists = error instanceof EtcdFault && error.kind === 'lease-exists';
      // An earlier grant came through, and its answer did not. The first renewal tells the rest.
      if (exists && !isFirst) granted();
      else {
        // A later one was sent: then the lease is that one's, and this came late, from a member that was frozen.
        if (exists && lease.grant$ === answer) {
          // Not ours: another source of randomness is like this one. To be left alone, and another id drawn.
          lease.isForeign = true;
          onForeign();
        }
        answer.error(error);
      }
    },
  });
  return answer;
}
