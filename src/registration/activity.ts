import { Subscription, type Observable, type Observer } from 'rxjs';
import { EtcdFault } from '../etcd/faults.ts';

/** Who is told what an activity brings. */
export interface ActivityOwner<A> {
  onValue(activity: A, value: unknown): void;
  onFault(activity: A, fault: unknown): void;
}

/**
 * A call or stream under way, as an observer bound to its owner: one small object in place of three closures (memory:
 * decision 0008). Ended, it tells nothing more.
 */
export class Activity<K> {
  readonly kind: K;
  isEnded = false;
  /** A call is answered once: what comes after that is nothing new. */
  isAnswered = false;
  readonly #owner: ActivityOwner<Activity<K>>;
  #subscription: Subscription | undefined;

  constructor(owner: ActivityOwner<Activity<K>>, kind: K) {
    this.#owner = owner;
    this.kind = kind;
  }

  begin(source: () => Observable<unknown>): void {
    const subscription = observe(source, this);
    if (this.isEnded) subscription.unsubscribe();
    else this.#subscription = subscription;
  }

  end(): void {
    this.isEnded = true;
    this.#subscription?.unsubscribe();
  }

  next(value: unknown): void {
    if (!this.isEnded && !this.isAnswered) this.#owner.onValue(this, value);
  }

  error(fault: unknown): void {
    if (!this.isEnded && !this.isAnswered) this.#owner.onFault(this, fault);
  }

  complete(): void {
    this.error(new EtcdFault('connection', 'a call or stream ended without an answer'));
  }
}

/** Subscribes; a source that throws when it is made fails like any other. */
export function observe<V>(source: () => Observable<V>, observer: Observer<V>): Subscription {
  let source$: Observable<V>;
  try {
    source$ = source();
  } catch (error) {
    observer.error(error);
    return Subscription.EMPTY;
  }
  return source$.subscribe(observer);
}
