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
import { applySelector$, checkedSelector } from './arguments.ts';
import { currentContext, type InContext, subscribedIn$ } from './caller-context.ts';
import { membershipOf } from './membership.ts';
import type { Selector } from './selector.ts';

/**
 * Hosts and their selector, connected from the first use until released.
 *
 * Not by reference count: calls come and go, and what is known of the hosts must outlast the pauses between them. A
 * source that completed keeps its last hosts; after an error the next use connects again.
 */
export class HostSource<T> {
  readonly selectors$: Observable<Selector<T>>;
  readonly #hosts$: Observable<ReadonlyMap<string, T>>;
  readonly #released$ = new Subject<void>();
  readonly #inContext: InContext = currentContext();

  constructor(
    hosts$: Observable<ReadonlyMap<string, T>>,
    select: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
    onSelector: (selector: Selector<T>) => void,
  ) {
    this.#hosts$ = this.#kept$(hosts$.pipe(map(membershipOf)));
    this.selectors$ = this.#kept$(
      applySelector$('selector', this.#hosts$, select).pipe(
        tap((selector) => onSelector(checkedSelector('selector', selector))),
      ),
    );
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
    return subscribedIn$(concat(source$, NEVER), this.#inContext).pipe(
      takeUntil(this.#released$),
      share({ connector: () => new ReplaySubject<V>(1), resetOnRefCountZero: false }),
    );
  }
}
