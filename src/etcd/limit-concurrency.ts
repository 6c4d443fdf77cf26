import { Observable, Subscription, defer } from 'rxjs';

/**
 * Lets so many calls be under way at once; the others wait their turn, first come first served. Ten thousand
 * calls handed to grpc in one turn would outlast their own deadlines, and the connection would be blamed.
 */
export function limitConcurrency(limit: number): <R>(call: () => Observable<R>) => Observable<R> {
  const waiting = new Set<() => void>();
  let running = 0;
  let letting = false;

  const leave = (): void => {
    running -= 1;
    // A loop, and one at a time: on a closed channel every call that is let in fails at once, and thousands of
    // them, each let in by the one before, would overflow the stack.
    if (letting) return;
    letting = true;
    while (running < limit) {
      const [next] = waiting;
      if (next === undefined) break;
      waiting.delete(next);
      next();
    }
    letting = false;
  };

  return <R>(call: () => Observable<R>): Observable<R> =>
    new Observable<R>((subscriber) => {
      let underWay: Subscription | undefined;
      const enter = (): void => {
        running += 1;
        // Not added to the subscriber: whose list of teardowns, old by now, would keep the call when both are over.
        underWay = new Subscription(leave);
        underWay.add(
          // One that throws fails like any other: else its place, and the loop that let it in, would be lost for all.
          defer(call).subscribe({
            next: (value) => {
              subscriber.next(value);
            },
            error: (error: unknown) => {
              subscriber.error(error);
            },
            complete: () => {
              subscriber.complete();
            },
          }),
        );
      };
      const end = (): void => {
        waiting.delete(enter);
        underWay?.unsubscribe();
        underWay = undefined;
      };
      if (running < limit) enter();
      else waiting.add(enter);
      return end;
    });
}
