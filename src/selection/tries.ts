import { Observable, type SchedulerLike, Subscription, timer } from 'rxjs';
import { callbackFailed } from '../errors.ts';
import type { RetryBudget } from './retry-budget.ts';

/** How a call is tried. */
export interface Trying<R> {
  /** A try: a host is chosen at its subscription. */
  readonly try$: Observable<R>;
  /** A try at a host where none of this call is in flight; completes without having begun when there is no such host. */
  readonly tryBeside$: (begin: () => boolean) => Observable<R>;
  readonly retries: number;
  readonly isRetryable: (error: unknown) => boolean;
  readonly budget: RetryBudget | undefined;
  /** After which time a second try is made beside the first; `undefined`: never. */
  readonly hedgeAfterMs: number | undefined;
  readonly scheduler: SchedulerLike;
}

/**
 * The tries of one call as one Observable: another after one that failed, and another beside one that takes long. The
 * first to give a value or to complete is the call's; the others are unsubscribed, and so are all of them with it.
 */
export function tries$<R>(trying: Trying<R>): Observable<R> {
  return new Observable<R>((subscriber) => {
    const { try$, tryBeside$, budget, hedgeAfterMs, scheduler } = trying;
    // Tries that have neither answered nor failed.
    const open = new Set<Subscription>();
    let left = trying.retries;

    const start = (attempt$: Observable<R>, hasBegun: () => boolean): void => {
      const attempt = new Subscription();
      let isKept = false;
      open.add(attempt);
      subscriber.add(attempt);
      const keep = (): void => {
        if (isKept) return;
        isKept = true;
        hedging.unsubscribe();
        open.delete(attempt);
        for (const other of open) other.unsubscribe();
        open.clear();
      };
      const over = (): void => {
        open.delete(attempt);
        subscriber.remove(attempt);
      };
      attempt.add(
        attempt$.subscribe({
          next: (value) => {
            keep();
            subscriber.next(value);
          },
          error: (error: unknown) => {
            over();
            if (isKept) subscriber.error(error);
            else failed(error);
          },
          complete: () => {
            over();
            if (!hasBegun()) {
              if (open.size === 0 && lastError !== undefined) subscriber.error(lastError.error);
              return;
            }
            keep();
            subscriber.complete();
          },
        }),
      );
    };

    let lastError: { readonly error: unknown } | undefined;
    const failed = (error: unknown): void => {
      let retryable: boolean;
      try {
        retryable = trying.isRetryable(error);
      } catch (thrown) {
        subscriber.error(callbackFailed('isRetryable', thrown));
        return;
      }
      lastError = { error };
      if (!retryable) subscriber.error(error);
      else if (left > 0 && budget?.withdraw() !== false) {
        left--;
        start(try$, () => true);
      } else if (open.size === 0) subscriber.error(error);
    };

    // The second try may fail when the first one did: they are retried alike.
    const hedge = (): void => {
      let begun = false;
      const begin = (): boolean => (begun = budget?.withdraw() !== false);
      start(tryBeside$(begin), () => begun);
    };

    const hedging = new Subscription();
    subscriber.add(hedging);
    budget?.called();
    if (hedgeAfterMs !== undefined) hedging.add(timer(hedgeAfterMs, scheduler).subscribe(hedge));
    start(try$, () => true);
  });
}
