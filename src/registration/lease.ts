import { Observable } from 'rxjs';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { leaseArguments, type LeaseOptions } from './arguments.ts';
import { HeldLease } from './held-lease.ts';
import { isSameLease, type LeaseState } from './lease-state.ts';

/**
 * A lease that lives as long as the subscription: to put keys of one's own under it.
 *
 * Cold: each subscription has its own lease, and all leases of a client are renewed over one stream. The state is
 * emitted whenever it changes; it never completes. A lease that is lost (expired, revoked from outside, its
 * server wiped) is followed by a new one, under a new id, with a jittered delay and for ever; the keys under the
 * old one are gone with it. Unsubscribing revokes the lease in the background, also while it is being granted,
 * and tries until the TTL has ended it anyway.
 *
 * Fails with an `RxEtcdError`: `unauthenticated`, `client-closed`, `invalid-request`. A bad argument throws
 * `invalid-argument` at the call.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#lease-api
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { lease$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: 'http://127.0.0.1:2379' });
 * const subscription = lease$(etcd, { ttlSeconds: 30 }).subscribe((state) => {
 *   console.log(state.status); // granting, granted
 *   if (state.status !== 'granted') return;
 *   subscription.unsubscribe();
 *   etcd.close();
 * });
 * ```
 */
export function lease$(client: EtcdClient, options: LeaseOptions = {}): Observable<LeaseState> {
  const { connection } = resolveClient(client);
  const settings = leaseArguments(options);
  return new Observable<LeaseState>((subscriber) => {
    let last: LeaseState | undefined;
    const held = new HeldLease(
      { connection, ...settings },
      {
        onLeaseState: ({ lease }) => {
          if (last !== undefined && isSameLease(last, lease)) return;
          last = lease;
          subscriber.next(lease);
        },
        onLeaseError: (error) => {
          subscriber.error(error);
        },
      },
    );
    subscriber.add(() => {
      held.stop();
    });
    held.start();
  });
}
