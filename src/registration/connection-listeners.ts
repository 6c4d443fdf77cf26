import { Subscription, type Observable } from 'rxjs';
import type { Connection, ConnectionState } from '../etcd/member.ts';

/** As an observer, without a completion: a connection has none. */
export interface ConnectionListener {
  next(state: ConnectionState): void;
  error(error: unknown): void;
}

/**
 * Tells any number of listeners of the members of a connection, the present one first, over one subscription: RxJS keeps
 * half a kilobyte for each, and ten thousand leases listen.
 */
export class ConnectionListeners {
  readonly #member$: Observable<ConnectionState>;
  readonly #listeners = new Set<ConnectionListener>();
  #subscription: Subscription | undefined;
  #latest: ConnectionState | undefined;

  constructor(member$: Observable<ConnectionState>) {
    this.#member$ = member$;
  }

  add(listener: ConnectionListener): void {
    this.#listeners.add(listener);
    if (this.#subscription === undefined) this.#subscribe();
    else if (this.#latest !== undefined) listener.next(this.#latest);
  }

  /** Nothing happens if it does not listen. After the last one the connection is left. */
  remove(listener: ConnectionListener): void {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#leave();
  }

  #subscribe(): void {
    const subscription = new Subscription();
    this.#subscription = subscription;
    subscription.add(
      this.#member$.subscribe({
        next: (state) => {
          // Left while it subscribes, the source may emit more before it returns.
          if (subscription.closed) return;
          this.#latest = state;
          // Some may leave meanwhile, and who comes meanwhile is told at once.
          for (const listener of [...this.#listeners]) {
            if (this.#latest === state && this.#listeners.has(listener)) listener.next(state);
          }
        },
        error: (error: unknown) => {
          if (subscription.closed) return;
          const listeners = [...this.#listeners];
          this.#listeners.clear();
          this.#leave();
          for (const listener of listeners) listener.error(error);
        },
      }),
    );
  }

  #leave(): void {
    this.#latest = undefined;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }
}

const listeners = new WeakMap<Observable<ConnectionState>, ConnectionListeners>();

/** The one of all registrations of a connection. */
export function listenersOf({ member$ }: Connection): ConnectionListeners {
  return listenersTo(member$);
}

/** The same for what has to be done also when the etcd3 client is closed. */
export function drainingListenersOf({ drainingMember$ }: Connection): ConnectionListeners {
  return listenersTo(drainingMember$);
}

function listenersTo(member$: Observable<ConnectionState>): ConnectionListeners {
  let found = listeners.get(member$);
  if (found === undefined) listeners.set(member$, (found = new ConnectionListeners(member$)));
  return found;
}
