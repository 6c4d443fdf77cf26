import { Observable, type TimestampProvider } from 'rxjs';
import type { CallOutcome } from './selector.ts';

/** How to follow a call. */
export interface Tracking {
  readonly clock: TimestampProvider;
  /** Called when the call begins; gives what is called once when it has ended. */
  readonly begin: () => (outcome: CallOutcome) => void;
  /** Whether an error speaks against the host. */
  readonly isFailure: (error: unknown) => boolean;
}

/**
 * A call that reports how it went: before its error or completion is passed on, so that who tries again in
 * answer to it already finds the report taken into account.
 */
export function trackedCall$<R>(call$: Observable<R>, { clock, begin, isFailure }: Tracking): Observable<R> {
  return new Observable<R>((subscriber) => {
    const startedAt = clock.now();
    const elapsedMs = (): number => Math.max(0, clock.now() - startedAt);
    const report = begin();
    let latencyMs: number | undefined;
    let ended = false;
    const end = (result: CallOutcome['result']): void => {
      if (ended) return;
      ended = true;
      report({ result, latencyMs: latencyMs ?? elapsedMs() });
    };
    // Unsubscribed by the caller: after a first answer that is success (a `take(1)`), before it nobody knows.
    subscriber.add(() => end(latencyMs === undefined ? 'abandoned' : 'answered'));
    subscriber.add(
      call$.subscribe({
        next: (value) => {
          latencyMs ??= elapsedMs();
          subscriber.next(value);
        },
        error: (error: unknown) => {
          end(isFailure(error) ? 'failed' : 'answered');
          subscriber.error(error);
        },
        complete: () => {
          end('answered');
          subscriber.complete();
        },
      }),
    );
  });
}
