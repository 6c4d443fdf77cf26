import {
  BehaviorSubject,
  defer,
  Observable,
  type ObservableInput,
  type OperatorFunction,
  type Subscription,
} from 'rxjs';
import { Snapshot } from '../discovery/snapshot.ts';
import { callbackFailed } from '../errors.ts';
import { checkFunction, checkOptions } from './arguments.ts';
import { forEachDifference, membershipOf } from './membership.ts';

/** Options of {@link perInstance}. */
export interface PerInstanceOptions<T> {
  /**
   * Whether a changed value means another instance under the same key (another address, say): the old inner
   * Observable is then unsubscribed and a new one subscribed. Default: never.
   */
  readonly restartWhen?: (previous: T, current: T) => boolean;
}

/**
 * Runs an inner Observable for each instance, for exactly as long as that instance is there.
 *
 * For connection pools, health probes, caches. Each is subscribed when its key appears and unsubscribed when
 * it is gone; that it changed its value restarts nothing, and can be followed by `values$`. One that completes
 * is not started again before its key has left and come back.
 *
 * Emits what the inner Observables emit. As cold as its source. An error of the source or of an inner one,
 * and what `project` or `restartWhen` throws, ends them all and is passed on; catch inside `project` what should not. Completes when the source and all
 * inner ones have. Unsubscribing unsubscribes from all.
 *
 * @param project - gives an instance's Observable, from its value, its key, and `values$`: its value now and
 *   whenever it changes, complete when it leaves
 * @example
 * ```ts
 * import { concat, NEVER, of } from 'rxjs';
 * import { perInstance } from 'rx-etcd';
 *
 * const hosts$ = of(new Map([['a', 1], ['b', 2]]), new Map([['b', 2]]), new Map([['b', 3]]));
 * hosts$
 *   .pipe(perInstance((host, key) => concat(of(`${key} is up`), NEVER)))
 *   .subscribe((line) => console.log(line)); // a is up, b is up
 * ```
 */
export function perInstance<T, R>(
  project: (host: T, key: string, values$: Observable<T>) => ObservableInput<R>,
  options: PerInstanceOptions<T> = {},
): OperatorFunction<ReadonlyMap<string, T>, R> {
  checkFunction('project', project);
  checkOptions('options', options, { restartWhen: true });
  const { restartWhen = () => false } = options;
  checkFunction('options.restartWhen', restartWhen);
  return (source) =>
    new Observable<R>((subscriber) => {
      const running = new Map<string, Running<T>>();
      const steps: (() => void)[] = [];
      let known = Snapshot.of<T>([]);
      let active = 1;
      let stepping = false;

      const ended = (): void => {
        if (--active === 0) subscriber.complete();
      };
      const start = (key: string, host: T): void => {
        const values = new BehaviorSubject(host);
        const instance: Running<T> = { values, subscription: undefined };
        running.set(key, instance);
        active++;
        const inner = defer(() => project(host, key, values.asObservable())).subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) => subscriber.error(error),
          complete: () => {
            instance.subscription = undefined;
            ended();
          },
        });
        subscriber.add(inner);
        if (!inner.closed) instance.subscription = inner;
      };
      const stop = (key: string): void => {
        const instance = running.get(key);
        running.delete(key);
        if (instance?.subscription !== undefined) {
          instance.subscription.unsubscribe();
          subscriber.remove(instance.subscription);
          ended();
        }
        instance?.values.complete();
      };
      const change = (key: string, host: T): void => {
        const instance = running.get(key);
        if (instance === undefined) return;
        if (!restartWhen(instance.values.value, host)) {
          instance.values.next(host);
          return;
        }
        stop(key);
        start(key, host);
      };

      // What an inner Observable emits may change the source at once: one change is worked off after the other.
      const work = (): void => {
        if (stepping) return;
        stepping = true;
        try {
          for (let step = steps.shift(); step !== undefined && !subscriber.closed; step = steps.shift()) step();
        } catch (thrown) {
          subscriber.error(callbackFailed('restartWhen', thrown));
        }
        stepping = false;
      };
      subscriber.add(
        source.subscribe({
          next: (hosts) => {
            let now: Snapshot<T>;
            try {
              now = membershipOf(hosts);
            } catch (error) {
              subscriber.error(error);
              return;
            }
            forEachDifference(known, now, {
              joined: (key, host) => void steps.push(() => start(key, host)),
              changed: (key, host) => void steps.push(() => change(key, host)),
              left: (key) => void steps.push(() => stop(key)),
            });
            known = now;
            work();
          },
          error: (error: unknown) => subscriber.error(error),
          complete: () => {
            steps.push(ended);
            work();
          },
        }),
      );
    });
}

interface Running<T> {
  readonly values: BehaviorSubject<T>;
  /** `undefined` when it is no more. */
  subscription: Subscription | undefined;
}
