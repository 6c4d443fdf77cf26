import {
  EMPTY,
  NEVER,
  Observable,
  ReplaySubject,
  Subject,
  catchError,
  concatMap,
  defer,
  delay,
  map,
  merge,
  of,
  startWith,
  take,
  throwError,
  timer,
  type SchedulerLike,
} from 'rxjs';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type {
  Connection,
  Member,
  ConnectionState,
  Renewal,
  TxnRequest,
  WireEntry,
  WireEvent,
} from '../../src/etcd/member.ts';

export interface FakeEtcd {
  readonly connection: Connection;
  /** Every call that reached the server. */
  readonly calls: string[];
  readonly leases: Map<string, { readonly ttlSeconds: number }>;
  readonly store: Map<string, WireEntry>;
  /** What happens to the keys, as it happens. */
  readonly events$: Observable<WireEvent>;
  revision: number;
  /** How long after `up` the server does what got stuck. */
  stuckMs: number;
  /** How many subscribe to the connection. */
  users: number;
  /** Loses the connection: every call and stream of the member fails. */
  down(): void;
  up(): void;
  /** Answers are lost, requests are not. */
  mute: boolean;
  /** The server answers nothing; what it got meanwhile it does `stuckMs` after the next `up`, whoever has gone since. */
  frozen: boolean;
  /** Renewals are answered as if they had been sent this much earlier. */
  answersAgeMs: number;
  /** The next grants fail with these. */
  readonly grantFaults: EtcdFault[];
  expire(leaseId: string): void;
  put(key: string, value: string, lease?: string): void;
  delete(key: string): void;
}

/** A model of etcd behind the interface that `registration/` speaks through, in a scheduler's time. */
export function fakeEtcd(scheduler: SchedulerLike, latencyMs = 1): FakeEtcd {
  const states = new ReplaySubject<ConnectionState>(1);
  const events = new ReplaySubject<WireEvent>(Infinity);
  let broken = new Subject<never>();
  const stuck: (() => Observable<unknown>)[] = [];
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  const apply = (event: WireEvent): void => {
    if (event.type === 'put') fake.store.set(event.key, event);
    else fake.store.delete(event.key);
    events.next(event);
  };
  const put = (key: string, value: Uint8Array, lease: string): void => {
    const before = fake.store.get(key);
    apply({
      type: 'put',
      key,
      value,
      lease,
      modRevision: fake.revision,
      createRevision: before?.createRevision ?? fake.revision,
    });
  };
  const remove = (key: string): void => {
    if (!fake.store.has(key)) return;
    apply({ type: 'delete', key, value: new Uint8Array(), lease: '0', modRevision: fake.revision, createRevision: 0 });
  };

  const member$ = new Observable<ConnectionState>((subscriber) => {
    fake.users += 1;
    subscriber.add(() => (fake.users -= 1));
    return states.subscribe(subscriber);
  });

  const fake: FakeEtcd = {
    connection: { member$, drainingMember$: member$ },
    calls: [],
    leases: new Map(),
    store: new Map(),
    events$: defer(() => events),
    revision: 1,
    stuckMs: 2.5,
    users: 0,
    mute: false,
    frozen: false,
    answersAgeMs: 0,
    grantFaults: [],
    down() {
      const cause = new EtcdFault('connection', 'cut');
      const failing = broken;
      broken = new Subject();
      states.next({ status: 'down', attempt: 1, cause });
      failing.error(cause);
    },
    up() {
      fake.mute = false;
      fake.frozen = false;
      states.next({ status: 'up', member: newMember() });
      const late = stuck.splice(0);
      timer(fake.stuckMs, scheduler)
        .pipe(concatMap(() => merge(...late.map((act) => defer(act).pipe(catchError(() => EMPTY))))))
        .subscribe();
    },
    expire(leaseId) {
      fake.leases.delete(leaseId);
      fake.revision += 1;
      for (const { key, lease } of [...fake.store.values()]) if (lease === leaseId) remove(key);
    },
    put(key, value, lease = '0') {
      fake.revision += 1;
      put(key, Buffer.from(value), lease);
    },
    delete(key) {
      fake.revision += 1;
      remove(key);
    },
  };
  return fake;

  function newMember(): Member {
    const failure$ = broken;
    /** A call: its way to the server and back, each of which a fault can cut off. */
    const call$ = <R>(name: string, act: () => Observable<R>): Observable<R> =>
      merge(
        timer(latencyMs, scheduler).pipe(
          concatMap(() => {
            if (fake.frozen) {
              stuck.push(act);
              return NEVER;
            }
            fake.calls.push(name);
            const answer$ = act();
            return fake.mute ? NEVER : answer$;
          }),
          delay(latencyMs, scheduler),
        ),
        failure$,
      ).pipe(take(1));

    return {
      host: 'fake',
      list$: () => NEVER,
      fingerprint$: () => NEVER,
      grant$: (ttlSeconds, leaseId) =>
        call$(`grant ${leaseId}`, () => {
          const fault = fake.grantFaults.shift();
          if (fault !== undefined) return throwError(() => fault);
          if (fake.leases.has(leaseId)) return throwError(() => new EtcdFault('lease-exists', 'lease already exists'));
          fake.leases.set(leaseId, { ttlSeconds });
          return of({ leaseId, ttlSeconds });
        }),
      revoke$: (leaseId) =>
        call$(`revoke ${leaseId}`, () => {
          if (fake.leases.has(leaseId)) fake.expire(leaseId);
          return of(undefined);
        }),
      keepAlive$: (leaseId, ttlSeconds, firstDelayMs) =>
        merge(
          timer(firstDelayMs, (ttlSeconds * 1000) / 3, scheduler).pipe(
            map(() => scheduler.now()),
            concatMap((sentAtMs) =>
              call$(`renew ${leaseId}`, () =>
                fake.leases.has(leaseId)
                  ? of<Renewal>({ ttlSeconds, sentAtMs: sentAtMs - fake.answersAgeMs, lateMs: 0 })
                  : throwError(() => new EtcdFault('lease-gone', `lease ${leaseId} is gone`)),
              ),
            ),
          ),
          failure$,
        ),
      watch$: ({ range, startRevision }) =>
        merge(
          events.pipe(
            concatMap((event) =>
              event.key === text(range.key) && event.modRevision >= startRevision ? of(event) : [],
            ),
            map((event) => ({ type: 'events', events: [event] }) as const),
            // Before the answer to the write itself.
            delay(latencyMs / 2, scheduler),
            startWith({ type: 'created' } as const),
          ),
          failure$,
        ),
      txn$: (request) => call$('txn', () => txn$(request)),
    };
  }

  function txn$(request: TxnRequest): ReturnType<Member['txn$']> {
    const holds = request.when.every(({ key, target, equals }) => {
      const entry = fake.store.get(text(key));
      const actual = { create: entry?.createRevision ?? 0, mod: entry?.modRevision ?? 0, lease: entry?.lease ?? '0' }[
        target
      ];
      return actual === equals;
    });
    const operations = holds ? request.then : (request.otherwise ?? []);
    const orphan = operations.find(
      (each) => each.type === 'put' && each.leaseId !== undefined && !fake.leases.has(each.leaseId),
    );
    if (orphan !== undefined) return throwError(() => new EtcdFault('lease-gone', 'requested lease not found'));
    if (operations.some(({ type }) => type !== 'get')) fake.revision += 1;
    const results = operations.map((operation): WireEntry[] => {
      switch (operation.type) {
        case 'put':
          put(text(operation.key), operation.value, operation.leaseId ?? '0');
          return [];
        case 'delete':
          remove(text(operation.key));
          return [];
        case 'get': {
          const entry = fake.store.get(text(operation.range.key));
          return entry === undefined ? [] : [entry];
        }
      }
    });
    return of({ succeeded: holds, revision: fake.revision, results });
  }
}

export { seededRandom as seeded } from '../support/seeded-random.ts';
