import { Observable } from 'rxjs';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { LEASE_OPTIONS, knownOptions, leaseArguments, type LeaseOptions } from './arguments.ts';
import type { LeaseState } from './lease-state.ts';
import type { MachineState } from './machine.ts';
import { Runner, type RunnerOptions } from './runner.ts';

/**
 * A lease that lives as long as the subscription: to put keys of one's own under it.
 *
 * Cold: each subscription has its own lease, and all leases of a client are renewed over one stream. The state is
 * emitted whenever it changes; it never completes. A lease that is lost (expired, revoked from outside, its
 * server wiped) is followed by a new one, under a new id, with a jittered delay and without a limit; the keys under the
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
  return heldLease$({ connection, ...leaseArguments(knownOptions(options, LEASE_OPTIONS)) });
}

/** The same on a connection. */
export function heldLease$(options: RunnerOptions & { readonly ttlSeconds: number }): Observable<LeaseState> {
  // Without keys nothing is desired of them.
  const unused = { onConflict: 'wait', confirm: 'write', drainMs: 0 } as const;
  const config = { ...unused, ttlSeconds: options.ttlSeconds, describe: describeLease };
  return new Observable<LeaseState>((subscriber) => {
    new Runner<LeaseState>(config, options, subscriber).start();
  });
}

/** What to tell after what was told; `undefined` when there is nothing new. */
function describeLease({ phase, told, leaseState }: MachineState<LeaseState>): LeaseState | undefined {
  return phase !== 'running' || (told !== undefined && isSame(told, leaseState)) ? undefined : leaseState;
}

function isSame(a: LeaseState, b: LeaseState): boolean {
  if (a.status === 'granting' && b.status === 'granting') {
    return a.attempt === b.attempt && a.cause?.message === b.cause?.message;
  }
  if (a.status === 'granted' && b.status === 'granted') {
    return a.leaseId === b.leaseId && a.ttlSeconds === b.ttlSeconds && a.renewalLateMs === b.renewalLateMs;
  }
  if (a.status === 'lost' && b.status === 'lost') return a.leaseId === b.leaseId;
  return a.status === 'suspended' && b.status === 'suspended' && a.leaseId === b.leaseId;
}
