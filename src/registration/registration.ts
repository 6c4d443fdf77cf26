import {
  Observable,
  ReplaySubject,
  Subscription,
  filter,
  from,
  merge,
  switchMap,
  take,
  type ObservableInput,
} from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import type { Connection, Link } from '../etcd/link.ts';
import type { LeaseOptions } from './arguments.ts';
import { desired$, encode, type Desired, type PresentValues, type ValueSource } from './desired.ts';
import { heldKeys$, type KeyMemory, type KeyState } from './held-keys.ts';
import { HeldLease, type HeldLeaseState } from './held-lease.ts';
import type { ConflictPolicy, RegisteredKey } from './key-plan.ts';
import { isSameLease } from './lease-state.ts';
import { longTimer$ } from './long-timer.ts';
import { nextState, type RegistrationState } from './registration-state.ts';

export interface RegistrationOptions<T> extends Required<LeaseOptions> {
  readonly connection: Connection;
  readonly keys: readonly RegisteredKey[];
  readonly sources: readonly ValueSource<T>[];
  readonly codec: Codec<T>;
  readonly onConflict: ConflictPolicy;
  readonly confirm: 'write' | 'watch';
  readonly ready$: Observable<boolean> | undefined;
  readonly until: ObservableInput<unknown> | undefined;
  readonly drainMs: number;
  readonly drainValue: ((value: T) => T) | undefined;
}

/** One registration for each subscriber: a lease, and on it the keys as they are desired; then the leaving. */
export function registration$<T>(options: RegistrationOptions<T>): Observable<RegistrationState<T>> {
  const { connection, keys, sources, codec, scheduler, random } = options;
  const names = keys.map(({ name }) => name);
  return new Observable<RegistrationState<T>>((subscriber) => {
    const lease = new HeldLease({ connection, ttlSeconds: options.ttlSeconds, scheduler, random });
    const desired = new ReplaySubject<Desired<T>>(1);
    const memory: KeyMemory = { everHeld: false, repairs: 0, disturbedAtMs: -Infinity, formerLeases: new Set() };
    let leaseState: HeldLeaseState | undefined;
    let keyState: KeyState<T> | undefined;
    // Only while somebody leaves and waits for it.
    let keyStates: ReplaySubject<KeyState<T>> | undefined;
    let lastKeyState: KeyState<T> | undefined;
    let present: PresentValues<T> | undefined;
    let last: RegistrationState<T> | undefined;
    let leaving = false;
    // What the keys are held on, and by.
    let place: { readonly link: Link; readonly leaseId: string; readonly subscription: Subscription } | undefined;

    const publish = (): void => {
      if (leaving || leaseState === undefined) return;
      const next = nextState(last, leaseState.lease, keyState, names);
      if (next === undefined) return;
      last = next;
      subscriber.next(next);
    };

    const error = (cause: unknown): void => {
      subscriber.error(cause);
    };

    const settle = ({ lease: state, link }: HeldLeaseState): void => {
      if (state.status === 'lost') {
        memory.formerLeases.clear();
        memory.formerLeases.add(state.leaseId);
      }
      const leaseId = state.status === 'granted' || state.status === 'suspended' ? state.leaseId : undefined;
      if (place !== undefined && (place.link !== link || place.leaseId !== leaseId)) {
        place.subscription.unsubscribe();
        place = undefined;
        keyState = undefined;
      }
      if (place !== undefined || state.status !== 'granted' || link === undefined) return;
      const subscription = new Subscription();
      place = { link, leaseId: state.leaseId, subscription };
      subscription.add(
        heldKeys$<T>({
          link,
          leaseId: state.leaseId,
          keys,
          desired$: desired,
          policy: options.onConflict,
          confirm: options.confirm,
          memory,
          onDoubt: () => {
            lease.recheck();
          },
          scheduler,
          random,
        }).subscribe({
          next: (state) => {
            keyState = lastKeyState = state;
            keyStates?.next(state);
            publish();
          },
          error,
        }),
      );
    };

    const leasing = new Subscription();

    const hasEnded = (): boolean => leaving || subscriber.closed;

    const leave = (): void => {
      if (leaving) return;
      leaving = true;
      running.unsubscribe();
      if (options.drainMs === 0 || leaseState === undefined) {
        deregister();
        return;
      }
      subscriber.next({ status: 'draining' });
      let marked: PresentValues<T> | undefined;
      try {
        if (present !== undefined && options.drainValue !== undefined) marked = drained(present, options.drainValue);
      } catch (cause) {
        error(cause);
        return;
      }
      keyStates = new ReplaySubject<KeyState<T>>(1);
      if (lastKeyState !== undefined) keyStates.next(lastKeyState);
      desired.next(marked ?? { status: 'absent' });
      const done$ = keyStates.pipe(
        filter((state) =>
          marked === undefined ? state.status === 'withdrawn' : state.status === 'held' && state.present === marked,
        ),
      );
      // Without contact to etcd, the TTL has told clients by then.
      subscriber.add(
        merge(done$, longTimer$(options.ttlSeconds * 1000, scheduler))
          .pipe(
            take(1),
            switchMap(() => longTimer$(options.drainMs, scheduler)),
          )
          .subscribe(deregister),
      );
    };

    const deregister = (): void => {
      place?.subscription.unsubscribe();
      // First the revoke, which holds the connection; then the renewals.
      subscriber.add(
        lease.release$().subscribe((confirmed) => {
          subscriber.next({ status: 'deregistered', confirmed });
          subscriber.complete();
        }),
      );
      leasing.unsubscribe();
    };

    const drained = (from: PresentValues<T>, mark: (value: T) => T): PresentValues<T> => {
      const values = from.values.map(mark);
      return {
        status: 'present',
        values,
        bytes: values.map((value, index) => encode(codec, names[index] ?? '', value)),
      };
    };

    const running = new Subscription();
    // Wired before anything can fail or end synchronously. The keys go first, the lease then takes them along.
    subscriber.add(() => place?.subscription.unsubscribe());
    subscriber.add(leasing);
    subscriber.add(running);
    if (options.until !== undefined) {
      running.add(from(options.until).pipe(take(1)).subscribe({ next: leave, error }));
      if (hasEnded()) return;
    }
    running.add(
      desired$({
        entries: names.map((name, index) => [name, sources[index] as ValueSource<T>]),
        codec,
        ready$: options.ready$,
      }).subscribe({
        next: (next) => {
          if (next.status === 'present') present = next;
          desired.next(next);
        },
        error,
        complete: leave,
      }),
    );
    if (hasEnded()) return;
    leasing.add(
      lease.state$.subscribe({
        next: (state) => {
          // Ten thousand leases are renewed all the time, and nothing is new about them.
          if (leaseState !== undefined && leaseState.link === state.link && isSameLease(leaseState.lease, state.lease))
            return;
          leaseState = state;
          settle(state);
          publish();
        },
        error,
      }),
    );
  });
}
