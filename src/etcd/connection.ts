import {
  Observable,
  ReplaySubject,
  asyncScheduler,
  catchError,
  filter,
  merge,
  repeat,
  share,
  take,
  throwError,
  type SchedulerLike,
} from 'rxjs';
import { unrefTimer$ } from '../time/unref-timer.ts';
import type { ClientSettings } from './client-settings.ts';
import { clientParts, type EtcdClient } from './etcd3-client.ts';
import { EtcdFault, fatalError, toFault } from './faults.ts';
import type { Connection, ConnectionState } from './member.ts';
import { MemberSwitch } from './member-switch.ts';

/**
 * How long an unused connection stays open, its streams closed: `switchMap` from one prefix to another leaves
 * a moment without a subscriber. It does not keep the process alive.
 */
const LINGER_MS = 1000;

/** etcd3 tells nobody that its client was closed: so often it is looked at, while the connection is used. */
const LOOK_CLOSED_MS = 100;

/** What a client, or a namespace of one, is to the rooms above. */
export interface ResolvedClient {
  readonly connection: Connection;
  /** Prepended to every key. */
  readonly namespace: Uint8Array;
}

const connections = new WeakMap<object, Connection>();

/** The one connection of a client and all its namespaces, or a thrown error when it is no such client. */
export function resolveClient(client: EtcdClient): ResolvedClient {
  const { key, namespace, settings } = clientParts(client);
  let connection = connections.get(key);
  if (connection === undefined) {
    connection = connectionOf(settings(), asyncScheduler, Math.random);
    connections.set(key, connection);
  }
  return { connection, namespace };
}

/** The connection that settings describe: {@link Connection} has its contract. */
function connectionOf(settings: ClientSettings, scheduler: SchedulerLike, random: () => number): Connection {
  const drainingMember$ = new Observable<ConnectionState>((subscriber) => {
    settings.refuseMock();
    const members = new MemberSwitch(settings, scheduler, random, subscriber);
    return () => {
      members.close();
    };
  }).pipe(
    share({
      connector: () => new ReplaySubject<ConnectionState>(1),
      resetOnRefCountZero: () => unrefTimer$(LINGER_MS),
    }),
  );
  return {
    drainingMember$,
    // Shared once more: ten thousand leases listen, and each operator on the way to each would keep half a kilobyte.
    member$: merge(closed$(settings), drainingMember$).pipe(
      catchError((error: unknown) => throwError(() => fatalError(toFault(error)) ?? error)),
      share({ connector: () => new ReplaySubject<ConnectionState>(1) }),
    ),
  };
}

/** Fails when the client is closed. */
function closed$({ isClosed }: ClientSettings): Observable<never> {
  return new Observable<never>((subscriber) => {
    const fail = (): void => {
      subscriber.error(clientClosedFault());
    };
    if (isClosed()) {
      fail();
      return;
    }
    subscriber.add(unrefTimer$(LOOK_CLOSED_MS).pipe(repeat(), filter(isClosed), take(1)).subscribe(fail));
  });
}

function clientClosedFault(): EtcdFault {
  return new EtcdFault('client-closed', 'the client is closed');
}
