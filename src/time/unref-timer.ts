import { Observable } from 'rxjs';

/** Emits once after a delay, and completes. Unlike RxJS's `timer` it does not keep the process alive. */
export function unrefTimer$(delayMs: number): Observable<void> {
  return new Observable<void>((subscriber) => {
    const handle = setTimeout(() => {
      subscriber.next();
      subscriber.complete();
    }, delayMs);
    handle.unref();
    return () => {
      clearTimeout(handle);
    };
  });
}
