import type { Subscription } from 'rxjs';
import type { WatchMessage } from '../etcd/member.ts';

/** Who is told what a watch on one of its keys tells. */
export interface WatchedKeys {
  onWatched(index: number, message: WatchMessage, startRevision: number): void;
  /** The watches that were begun together: none of them goes on without the others. */
  onWatchError(watches: Subscription, error: unknown): void;
}

/** The watch on one of the keys. */
export class KeyWatch {
  readonly #keys: WatchedKeys;
  readonly #index: number;
  readonly #startRevision: number;
  readonly #watches: Subscription;

  constructor(keys: WatchedKeys, index: number, startRevision: number, watches: Subscription) {
    this.#keys = keys;
    this.#index = index;
    this.#startRevision = startRevision;
    this.#watches = watches;
  }

  next(message: WatchMessage): void {
    this.#keys.onWatched(this.#index, message, this.#startRevision);
  }

  error(error: unknown): void {
    this.#keys.onWatchError(this.#watches, error);
  }
}
