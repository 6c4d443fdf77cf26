import {
  Observable,
  ReplaySubject,
  asyncScheduler,
  catchError,
  concat,
  defer,
  ignoreElements,
  map,
  merge,
  of,
  repeat,
  share,
  switchMap,
  take,
  throwError,
  timeout,
  timer,
  type SchedulerLike,
} from 'rxjs';
import { RxEtcdError } from '../errors.ts';
import { backoffDelayMs } from '../time/backoff.ts';
import {
  clientClosedFault,
  clientParts,
  credentialsOf,
  isClientClosed,
  endpointsOf,
  onClientClosed,
  refuseMock,
  type EtcdClient,
  type Endpoint,
} from './etcd3-client.ts';
import { EtcdFault, fatalError, toFault } from './faults.ts';
import type { Connection, Member, ConnectionState } from './member.ts';
import { grpcMember } from './grpc-member.ts';
import { unary$, type GrpcClient } from './rpc.ts';
import { steadyClock } from '../time/steady-clock.ts';
import { unrefTimer$ } from '../time/unref-timer.ts';

/** Bound of making a connection, TLS included. */
const CONNECT_TIMEOUT_MS = 3000;

/** A member that has answered for this long is healthy: the next failure is a first one again. */
const PROVEN_AFTER_MS = 2000;

/**
 * How long an unused connection stays open, its streams closed: `switchMap` from one prefix to another leaves
 * a moment without a subscriber. It does not keep the process alive.
 */
const LINGER_MS = 1000;

/**
 * Channel options, under the user's own `grpcOptions`. HTTP/2 pings find a frozen member or a black-holed
 * connection within 15 s; a server answers pings more frequent than every 5 s with GOAWAY. A channel of its own
 * never gets a dead connection, or the growing back-off of one, from grpc's global pool: docs/decisions/0005.
 *
 * @source https://github.com/grpc/grpc/blob/master/doc/keepalive.md
 */
const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': -1,
} as const;

// grpc's connectivity state, https://github.com/grpc/grpc/blob/master/doc/connectivity-semantics-and-api.md
const READY = 2;
const TRANSIENT_FAILURE = 3;
const SHUTDOWN = 4;

/** What an etcd3 client, or a namespace of one, is to the rooms above. */
export interface ResolvedClient {
  readonly connection: Connection;
  /** Prepended to every key. */
  readonly namespace: Uint8Array;
}

const connections = new WeakMap<object, Connection>();

/** The one connection of a client and all its namespaces, or a thrown error when it is no such client. */
export function resolveClient(client: EtcdClient): ResolvedClient {
  const { pool, namespace } = clientParts(client);
  let connection = connections.get(pool);
  if (connection === undefined) {
    connection = connectionOf(pool, asyncScheduler, Math.random);
    connections.set(pool, connection);
  }
  return { connection, namespace };
}

function connectionOf(pool: object, scheduler: SchedulerLike, random: () => number): Connection {
  const auth: AuthState = { token: undefined };
  const closed$ = clientClosed$(pool);
  // A clock that is set back by an hour must not make one wait for it.
  const steadyNowMs = steadyClock(scheduler);
  const members$ = defer(() => {
    // Mocked since it was resolved.
    refuseMock(pool);
    const endpoints = shuffled(endpointsOf(pool), random);
    let attempt = 0;
    return defer(() => {
      if (isClientClosed(pool)) return throwError(clientClosedFault);
      const startedAtMs = steadyNowMs();
      const health = { sinceMs: Infinity };
      return openMember$({ pool, endpoint: endpoints[0] as Endpoint, auth, health, scheduler, random }).pipe(
        map((member): ConnectionState => ({ status: 'up', member })),
        catchError((error: unknown) => {
          if (error instanceof RxEtcdError) return throwError(() => error);
          const fault = toFault(error);
          if (fatalError(fault) !== undefined) return throwError(() => fault);
          if (fault.kind === 'token') auth.token = undefined;
          // The next attempt goes to another member; this one comes last.
          endpoints.push(endpoints.shift() as Endpoint);
          attempt = steadyNowMs() - health.sinceMs >= PROVEN_AFTER_MS ? 1 : attempt + 1;
          // Counted from the attempt's start, so that the time between two attempts is bounded.
          const spentMs = attempt > 1 ? steadyNowMs() - startedAtMs : 0;
          const delayMs = Math.max(0, backoffDelayMs(attempt, random) - spentMs);
          return concat(
            of<ConnectionState>({ status: 'down', attempt, cause: fault }),
            timer(delayMs, scheduler).pipe(ignoreElements()),
          );
        }),
      );
    }).pipe(repeat());
  });
  const drainingMember$ = members$.pipe(
    catchError((error: unknown) => throwError(() => fatalError(toFault(error)) ?? error)),
    share({
      connector: () => new ReplaySubject<ConnectionState>(1),
      resetOnRefCountZero: () => unrefTimer$(LINGER_MS),
    }),
  );
  return {
    drainingMember$,
    // Shared once more: ten thousand leases listen, and each operator on the way to each would keep half a kilobyte.
    member$: merge(closed$, drainingMember$).pipe(
      catchError((error: unknown) => throwError(() => fatalError(toFault(error)) ?? error)),
      share({ connector: () => new ReplaySubject<ConnectionState>(1) }),
    ),
  };
}

interface AuthState {
  token: string | undefined;
}

interface OpenMemberOptions {
  readonly pool: object;
  readonly endpoint: Endpoint;
  readonly auth: AuthState;
  readonly health: { sinceMs: number };
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

/** Connects, authenticates if need be, emits the member, and fails when it is lost. Unsubscribing closes it. */
function openMember$({ pool, endpoint, auth, health, scheduler, random }: OpenMemberOptions): Observable<Member> {
  return new Observable<Member>((subscriber) => {
    const { client, methods, close } = endpoint.connect(CHANNEL_OPTIONS);
    subscriber.add(close);
    const fail = (fault: EtcdFault): void => {
      subscriber.error(fault);
    };
    const credentials = credentialsOf(pool);
    const authenticate$ = defer(() =>
      unary$<{ token: string }>(
        client,
        methods.authenticate,
        { name: credentials?.username, password: credentials?.password },
        {},
        CONNECT_TIMEOUT_MS,
        () => scheduler.now(),
      ),
    ).pipe(
      map(({ token }) => (auth.token = usableToken(token))),
      catchError((error: unknown) => {
        // As etcd's own client: credentials are not needed as long as authentication is off.
        if (toFault(error).message.includes('authentication is not enabled')) return of(undefined);
        return throwError(() => error);
      }),
    );
    // Many calls can find the token expired at once: one authentication serves them all.
    const renewal$ = authenticate$.pipe(share());
    const renewToken$ = (stale: string | undefined): Observable<string | undefined> =>
      defer(() =>
        auth.token !== stale ? of(auth.token) : credentials === undefined ? throwError(noCredentials) : renewal$,
      );
    const member = grpcMember({
      host: endpoint.host,
      client,
      methods,
      pool,
      scheduler,
      random,
      token: () => auth.token,
      renewToken$,
      onFault: fail,
      onAnswer: () => {
        if (health.sinceMs === Infinity) health.sinceMs = steadyClock(scheduler)();
      },
    });
    subscriber.add(
      ready$(client, endpoint, scheduler)
        .pipe(switchMap(() => (credentials !== undefined && auth.token === undefined ? authenticate$ : of(undefined))))
        .subscribe({
          next: () => {
            onDisconnected(client, () => {
              fail(new EtcdFault('connection', `the connection to ${endpoint.host} was lost`));
            });
            subscriber.next(member);
          },
          error: (error: unknown) => {
            fail(toFault(error));
          },
        }),
    );
  });
}

/** Emits once when the channel is ready; fails at its first failure rather than waiting for grpc to try again. */
function ready$(client: GrpcClient, endpoint: Endpoint, scheduler: SchedulerLike): Observable<void> {
  const ready$ = new Observable<void>((subscriber) => {
    const channel = client.getChannel();
    const look = (): void => {
      if (subscriber.closed) return;
      const state = channel.getConnectivityState(true);
      if (state === READY) {
        subscriber.next();
        subscriber.complete();
      } else if (state === TRANSIENT_FAILURE || state === SHUTDOWN) {
        const message = `cannot connect to ${endpoint.host} (is etcd running there?)`;
        subscriber.error(new EtcdFault('connection', message, { code: 'unavailable' }));
      } else {
        channel.watchConnectivityState(state, Infinity, look);
      }
    };
    look();
  });
  const tooLong$ = (): Observable<never> =>
    throwError(
      () =>
        new EtcdFault('connection', `no connection to ${endpoint.host} within ${CONNECT_TIMEOUT_MS} ms`, {
          code: 'unavailable',
        }),
    );
  return ready$.pipe(timeout({ first: CONNECT_TIMEOUT_MS, with: tooLong$, scheduler }));
}

/**
 * Calls back when a ready channel leaves that state, also when nothing was under way on it: grpc would
 * connect again by itself, perhaps to a server that was wiped, and nobody would know.
 */
function onDisconnected(client: GrpcClient, callback: () => void): void {
  const channel = client.getChannel();
  if (channel.getConnectivityState(false) !== READY) callback();
  else channel.watchConnectivityState(READY, Infinity, callback);
}

/** The token, or a thrown fault: kept, one that no header can carry would fail every call, and never be asked for again. */
function usableToken(token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new EtcdFault('connection', 'the member gave an auth token that no header can carry', {
    code: 'invalid-answer',
  });
}

function noCredentials(): EtcdFault {
  return new EtcdFault('unauthenticated', 'etcd asks for authentication, and the etcd3 client has no `auth` option');
}

/** Fails when the client is closed. Armed once for each client: grpc has no way to stop such a watch. */
function clientClosed$(pool: object): Observable<never> {
  const closed = new ReplaySubject<void>(1);
  let armed = false;
  return defer(() => {
    if (!armed) {
      armed = true;
      onClientClosed(pool, () => {
        closed.next();
      });
    }
    return closed.pipe(
      take(1),
      switchMap(() => throwError(clientClosedFault)),
    );
  });
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
