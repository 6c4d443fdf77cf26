import { takeWhile, type Observable, type Subscriber, type Subscription } from 'rxjs';

/**
 * Subscribes on behalf of `subscriber`: values go to `next`, errors and the completion straight on.
 *
 * As with RxJS's own operators, an error thrown by `next` becomes the subscriber's error notification (otherwise RxJS
 * reports it as unhandled, which ends the process), and a synchronous source ends as soon as nobody listens.
 *
 * @param complete - instead of passing the completion on
 */
export function forward<T>(
  source: Observable<T>,
  subscriber: Subscriber<unknown>,
  next: (value: T) => void,
  complete: () => void = () => subscriber.complete(),
): Subscription {
  // eslint-disable-next-line rxjs-x/no-ignored-takewhile-value -- it ends with its subscriber, whatever the value
  const subscription = source.pipe(takeWhile(() => !subscriber.closed)).subscribe({
    next: guarded(subscriber, next),
    error: (error: unknown) => subscriber.error(error),
    complete: guarded(subscriber, complete),
  });
  subscriber.add(subscription);
  return subscription;
}

/** The function, with what it throws as the subscriber's error notification. */
function guarded<A extends unknown[]>(
  subscriber: Subscriber<unknown>,
  run: (...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      run(...args);
    } catch (error) {
      subscriber.error(error);
    }
  };
}
