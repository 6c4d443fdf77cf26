import { from, Observable, type ObservableInput, type TimestampProvider } from 'rxjs';
import { callbackFailed, type RxEtcdError } from '../errors.ts';
import type { CallOutcome } from './selector.ts';

/** How to follow a call. */
export interface Tracking {
  readonly clock: TimestampProvider;
  /** Called when the call begins; gives a function that is called once when it has ended. */
  readonly begin: () => (outcome: CallOutcome) => void;
  /** Whether an error speaks against the host. */
  readonly isFailure: (error: unknown) => boolean;
}

/**
 * A call that reports how it went: before its error or completion is passed on, so that a retry in answer to it already
 * finds the report taken into account.
 *
 * Its signal is aborted when it is unsubscribed, not when it has ended by itself. What one of the functions throws is an
 * error of the call, which has then ended for the others, too.
 */
export function trackedCall$<R>(
  project: (signal: AbortSignal) => ObservableInput<R>,
  { clock, begin, isFailure }: Tracking,
): Observable<R> {
  return new Observable<R>((subscriber) => {
    const startedAt = clock.now();
    const elapsedMs = (): number => Math.max(0, clock.now() - startedAt);
    const controller = new AbortController();
    const report = begin();
    let latencyMs: number | undefined;
    let ended = false;
    /** Reports once. What is thrown by who is told (the selector may be the user's) is given back. */
    const end = (result: CallOutcome['result'], error?: unknown): RxEtcdError | undefined => {
      if (ended) return undefined;
      ended = true;
      const outcome = { result, latencyMs: latencyMs ?? elapsedMs() };
      try {
        report(result === 'failed' ? { ...outcome, error } : outcome);
      } catch (thrown) {
        return callbackFailed('selector', thrown);
      }
      return undefined;
    };
    const fail = (error: unknown): void => {
      let speaksAgainstHost = true;
      let bug: RxEtcdError | undefined;
      try {
        speaksAgainstHost = isFailure(error);
      } catch (thrown) {
        bug = callbackFailed('isFailure', thrown);
      }
      bug = end(speaksAgainstHost ? 'failed' : 'answered', error) ?? bug;
      subscriber.error(bug ?? error);
    };
    subscriber.add(() => {
      if (ended) return;
      // Unsubscribed by the caller: after a first answer that is success (a `take(1)`), before it nobody knows.
      // What a selector of the user's throws then is dropped: nobody is there to be told.
      end(latencyMs === undefined ? 'abandoned' : 'answered');
      controller.abort();
    });
    let call$: Observable<R>;
    try {
      call$ = from(project(controller.signal));
    } catch (thrown) {
      fail(thrown);
      return;
    }
    subscriber.add(
      call$.subscribe({
        next: (value) => {
          latencyMs ??= elapsedMs();
          subscriber.next(value);
        },
        error: fail,
        complete: () => {
          const bug = end('answered');
          if (bug === undefined) subscriber.complete();
          else subscriber.error(bug);
        },
      }),
    );
  });
}
