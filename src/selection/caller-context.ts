import { AsyncLocalStorage } from 'node:async_hooks';
import { Observable } from 'rxjs';

/** Runs a function in the asynchronous context that was the current one when this was made. */
export type InContext = <R>(run: () => R) => R;

/** The asynchronous context of this moment (AsyncLocalStorage: request ids, traces), to go back to later. */
export function currentContext(): InContext {
  return AsyncLocalStorage.snapshot();
}

/** The same values in a given context: they come in that of their source, a connection that others opened. */
export function inContext$<V>(source$: Observable<V>, inContext: InContext): Observable<V> {
  return new Observable((subscriber) =>
    source$.subscribe({
      next: (value) => inContext(() => subscriber.next(value)),
      error: (error: unknown) => inContext(() => subscriber.error(error)),
      complete: () => inContext(() => subscriber.complete()),
    }),
  );
}

/** The source subscribed to in a given context: what it starts does not belong to the one who happens to be first. */
export function subscribedIn$<V>(source$: Observable<V>, inContext: InContext): Observable<V> {
  return new Observable((subscriber) => inContext(() => source$.subscribe(subscriber)));
}
