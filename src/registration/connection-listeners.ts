import { Subscription } from 'rxjs';
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
  readonly #connection: Connection;
  readonly #listeners = new Set<ConnectionListener>();
  #subscription: Subscription | undefined;
  #latest: ConnectionState | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
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
      this.#connection.member$.subscribe({
        next: (state) => {
          // Left while it subscribes, it may have more to say in the same breath.
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

const fans = new WeakMap<Connection, ConnectionListeners>();

/** The one of all leases of a connection. */
export function listenersOf(connection: Connection): ConnectionListeners {
  let fan = fans.get(connection);
  if (fan === undefined) fans.set(connection, (fan = new ConnectionListeners(connection)));
  return fan;
}
