import { Observable } from 'rxjs';

/**
 * Lets so many calls be under way at once; the others wait their turn, first come first served. Ten thousand
 * calls handed to grpc in one turn would outlast their own deadlines, and the connection would be blamed.
 */
export function callGate(limit: number): <R>(call$: Observable<R>) => Observable<R> {
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

  return <R>(call$: Observable<R>): Observable<R> =>
    new Observable<R>((subscriber) => {
      const enter = (): void => {
        running += 1;
        subscriber.add(leave);
        call$.subscribe(subscriber);
      };
      if (running < limit) {
        enter();
        return;
      }
      waiting.add(enter);
      subscriber.add(() => waiting.delete(enter));
    });
}
