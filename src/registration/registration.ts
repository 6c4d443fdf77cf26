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
  type Subscriber,
} from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import type { Connection } from '../etcd/member.ts';
import type { LeaseOptions } from './arguments.ts';
import { desired$, encode, fixedValues, type Desired, type PresentValues, type ValueSource } from './desired.ts';
import { HeldKeys, type KeyHolder, type KeyMemory, type KeyPolicy, type KeyState } from './held-keys.ts';
import { HeldLease, type HeldLeaseState, type LeaseHolder } from './held-lease.ts';
import { longTimer$ } from '../time/long-timer.ts';
import { nextState, type RegistrationState } from './registration-state.ts';

export interface RegistrationOptions<T> extends Required<LeaseOptions>, KeyPolicy {
  readonly connection: Connection;
  readonly sources: readonly ValueSource<T>[];
  readonly codec: Codec<T>;
  readonly ready$: Observable<boolean> | undefined;
  readonly until: ObservableInput<unknown> | undefined;
  readonly drainMs: number;
  readonly drainValue: ((value: T) => T) | undefined;
}

/** One registration for each subscriber: a lease, and on it the keys as they are desired; then the leaving. */
export function registration$<T>(options: RegistrationOptions<T>): Observable<RegistrationState<T>> {
  return new Observable<RegistrationState<T>>((subscriber) => {
    new Registration(options, subscriber).start();
  });
}

class Registration<T> implements KeyHolder<T>, LeaseHolder {
  readonly memory: KeyMemory = { everHeld: false, repairs: 0, disturbedAtMs: -Infinity, formerLease: undefined };
  readonly #options: RegistrationOptions<T>;
  readonly #subscriber: Subscriber<RegistrationState<T>>;
  readonly #lease: HeldLease;
  /** The user's streams: what is desired, and until when. */
  #inputs: Subscription | undefined;
  #leaseState: HeldLeaseState | undefined;
  #desired: Desired<T> | undefined;
  #present: PresentValues<T> | undefined;
  #keys: HeldKeys<T> | undefined;
  /** Of the keys as they are held now; and the last one at all. */
  #keyState: KeyState<T> | undefined;
  #lastKeyState: KeyState<T> | undefined;
  /** Only while somebody leaves and waits for it. */
  #keyStates: ReplaySubject<KeyState<T>> | undefined;
  #last: RegistrationState<T> | undefined;
  #leaving = false;

  constructor(options: RegistrationOptions<T>, subscriber: Subscriber<RegistrationState<T>>) {
    this.#options = options;
    this.#subscriber = subscriber;
    this.#lease = new HeldLease(options, this);
  }

  start(): void {
    const subscriber = this.#subscriber;
    subscriber.add(() => {
      this.#keys?.unsubscribe();
      this.#lease.stop();
      this.#inputs?.unsubscribe();
    });
    this.#readInputs();
    if (this.#hasEnded()) return;
    this.#lease.start();
  }

  onKeyState(state: KeyState<T>): void {
    this.#keyState = this.#lastKeyState = state;
    this.#keyStates?.next(state);
    this.#publish();
  }

  onKeyError(error: unknown): void {
    this.#subscriber.error(error);
  }

  onDoubt(): void {
    this.#lease.recheck();
  }

  onLeaseState(state: HeldLeaseState): void {
    this.#leaseState = state;
    this.#settle(state);
    this.#publish();
  }

  onLeaseError(error: unknown): void {
    this.#subscriber.error(error);
  }

  #readInputs(): void {
    const { keys, sources, codec, ready$, until } = this.#options;
    const entries = keys.map(({ name }, index) => [name, sources[index] as ValueSource<T>] as const);
    if (until === undefined && ready$ === undefined) {
      this.#desired = this.#present = fixedValues(entries, codec);
      if (this.#desired !== undefined) return;
    }
    const inputs = new Subscription();
    this.#inputs = inputs;
    const error = (cause: unknown): void => {
      this.#subscriber.error(cause);
    };
    const leave = (): void => {
      this.#leave();
    };
    if (until !== undefined) inputs.add(from(until).pipe(take(1)).subscribe({ next: leave, error }));
    if (this.#hasEnded()) return;
    inputs.add(
      desired$({ entries, codec, ready$ }).subscribe({
        next: (next) => {
          if (next.status === 'present') this.#present = next;
          this.#want(next);
        },
        error,
        complete: leave,
      }),
    );
  }

  #want(desired: Desired<T>): void {
    this.#desired = desired;
    this.#keys?.want(desired);
  }

  /** The keys are held on the member there is, by the lease there is. */
  #settle({ lease, member }: HeldLeaseState): void {
    if (lease.status === 'lost') this.memory.formerLease = lease.leaseId;
    const leaseId = lease.status === 'granted' || lease.status === 'suspended' ? lease.leaseId : undefined;
    if (this.#keys !== undefined && !this.#keys.isHeldOn(member, leaseId)) {
      this.#keys.unsubscribe();
      this.#keys = undefined;
      this.#keyState = undefined;
    }
    if (this.#keys !== undefined || lease.status !== 'granted' || member === undefined) return;
    this.#keys = new HeldKeys<T>(member, lease.leaseId, this.#options, this);
    if (this.#desired !== undefined) this.#keys.want(this.#desired);
  }

  #publish(): void {
    if (this.#leaving || this.#leaseState === undefined) return;
    const next = nextState(this.#last, this.#leaseState.lease, this.#keyState, this.#options.keys);
    if (next === undefined) return;
    this.#last = next;
    this.#subscriber.next(next);
  }

  #hasEnded(): boolean {
    return this.#leaving || this.#subscriber.closed;
  }

  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const { drainMs, drainValue, scheduler, ttlSeconds } = this.#options;
    const subscriber = this.#subscriber;
    this.#inputs?.unsubscribe();
    if (drainMs === 0 || this.#leaseState === undefined) {
      this.#deregister();
      return;
    }
    subscriber.next({ status: 'draining' });
    let marked: PresentValues<T> | undefined;
    try {
      if (this.#present !== undefined && drainValue !== undefined) marked = this.#drained(this.#present, drainValue);
    } catch (cause) {
      subscriber.error(cause);
      return;
    }
    this.#keyStates = new ReplaySubject<KeyState<T>>(1);
    if (this.#lastKeyState !== undefined) this.#keyStates.next(this.#lastKeyState);
    this.#want(marked ?? { status: 'absent' });
    const done$ = this.#keyStates.pipe(
      filter((state) =>
        marked === undefined ? state.status === 'withdrawn' : state.status === 'held' && state.present === marked,
      ),
    );
    // Without contact to etcd, the TTL has told clients by then.
    subscriber.add(
      merge(done$, longTimer$(ttlSeconds * 1000, scheduler))
        .pipe(
          take(1),
          switchMap(() => longTimer$(drainMs, scheduler)),
        )
        .subscribe(() => {
          this.#deregister();
        }),
    );
  }

  #drained(present: PresentValues<T>, drainValue: (value: T) => T): PresentValues<T> {
    const { keys, codec } = this.#options;
    const values = present.values.map(drainValue);
    const bytes = values.map((value, index) => encode(codec, keys[index]?.name ?? '', value));
    return { status: 'present', values, bytes };
  }

  #deregister(): void {
    this.#keys?.unsubscribe();
    const subscriber = this.#subscriber;
    // First the revoke, which holds the connection; then the renewals.
    subscriber.add(
      this.#lease.release$().subscribe((confirmed) => {
        subscriber.next({ status: 'deregistered', confirmed });
        subscriber.complete();
      }),
    );
    this.#lease.stop();
  }
}
