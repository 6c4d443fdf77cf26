import {
  concat,
  filter,
  map,
  NEVER,
  type Observable,
  type OperatorFunction,
  ReplaySubject,
  share,
  skipWhile,
  Subject,
  take,
  takeUntil,
  tap,
} from 'rxjs';
import type { Selector } from './selector.ts';

/**
 * Hosts and their selector, connected from the first use until released.
 *
 * Not by reference count: calls come and go, and what is known of the hosts must outlast the pauses between
 * them. A source that completed keeps its last hosts; after an error the next use connects anew.
 */
export class HostSource<T> {
  readonly selectors$: Observable<Selector<T>>;
  readonly #hosts$: Observable<ReadonlyMap<string, T>>;
  readonly #released$ = new Subject<void>();

  constructor(
    hosts$: Observable<ReadonlyMap<string, T>>,
    select: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
    onSelector: (selector: Selector<T>) => void,
  ) {
    this.#hosts$ = this.#kept$(hosts$);
    this.selectors$ = this.#kept$(this.#hosts$.pipe(select, tap(onSelector)));
  }

  /** Emits when a host that is there has left. Not for one that is not there at first: it cannot leave. */
  leaving$(key: string): Observable<void> {
    return this.#hosts$.pipe(
      skipWhile((hosts) => !hosts.has(key)),
      filter((hosts) => !hosts.has(key)),
      take(1),
      map(() => undefined),
    );
  }

  release(): void {
    this.#released$.next();
  }

  #kept$<V>(source$: Observable<V>): Observable<V> {
    return concat(source$, NEVER).pipe(
      takeUntil(this.#released$),
      share({ connector: () => new ReplaySubject<V>(1), resetOnRefCountZero: false }),
    );
  }
}
