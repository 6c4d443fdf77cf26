import { NEVER, Observable, Subscription, concat, from, of, take, type ObservableInput, type Subscriber } from 'rxjs';
import { callbackFailed } from '../errors.ts';
import type { Codec } from '../codecs/codec.ts';
import type { Connection } from '../etcd/member.ts';
import type { LeaseOptions } from './arguments.ts';
import { desired$, fixedValues, present, type DesiredOptions, type PresentValues } from './desired.ts';
import type { ConflictPolicy } from './reconcile.ts';
import { describeRegistration, type RegistrationState } from './registration-state.ts';
import { Runner } from './runner.ts';

export interface RegistrationOptions<T> extends Required<LeaseOptions>, DesiredOptions<T> {
  readonly connection: Connection;
  readonly onConflict: ConflictPolicy;
  readonly confirm: 'write' | 'watch';
  readonly until: ObservableInput<unknown> | AbortSignal | undefined;
  readonly drainMs: number;
  readonly drainValue: ((value: T) => T) | undefined;
}

/** One registration for each subscriber: a machine, and the user's streams that it is fed with. */
export function registration$<T>(options: RegistrationOptions<T>): Observable<RegistrationState<T>> {
  const config = { ...options, describe: describeRegistration<T> };
  return new Observable<RegistrationState<T>>((subscriber) => {
    const runner = new Runner<RegistrationState<T>>(config, options, subscriber);
    runner.start(() => inputs(options, runner, subscriber));
  });
}

function inputs<T>(
  options: RegistrationOptions<T>,
  runner: Runner<RegistrationState<T>>,
  subscriber: Subscriber<unknown>,
): Subscription {
  const { codec, ready, until, drainMs, drainValue } = options;
  const fixed = ready === undefined ? fixedValues(options) : undefined;
  if (fixed !== undefined && until === undefined) {
    // The usual case: no stream, and so nothing to keep for each of ten thousand registrations.
    runner.post({ type: 'desired', desired: fixed });
    return Subscription.EMPTY;
  }
  const subscription = new Subscription();
  let latest: PresentValues<T> | undefined;
  const error = (cause: unknown): void => {
    runner.fail(cause);
  };
  const leave = (): void => {
    subscription.unsubscribe();
    try {
      const isMarked = drainMs > 0 && drainValue !== undefined;
      runner.post({ type: 'leave', marked: isMarked && latest ? marked(latest, drainValue, codec) : undefined });
    } catch (cause) {
      error(callbackFailed('options.drainValue', cause));
    }
  };
  if (until !== undefined) subscription.add(end$(until).pipe(take(1)).subscribe({ next: leave, error }));
  if (subscription.closed || subscriber.closed) return subscription;
  subscription.add(
    (fixed === undefined ? desired$(options) : concat(of(fixed), NEVER)).subscribe({
      next: (desired) => {
        if (desired.status === 'present') latest = desired;
        runner.post({ type: 'desired', desired });
      },
      error,
      complete: leave,
    }),
  );
  return subscription;
}

function marked<T>(
  { keys, entries }: PresentValues<T>,
  drainValue: (value: T) => T,
  codec: Codec<T>,
): PresentValues<T> {
  return present(
    keys,
    [...entries.values()].map((value) => drainValue(value)),
    codec,
  );
}

function end$(until: ObservableInput<unknown> | AbortSignal): Observable<unknown> {
  if (!(until instanceof AbortSignal)) return from(until);
  return new Observable<unknown>((subscriber) => {
    const end = (): void => {
      subscriber.next(until.reason);
    };
    if (until.aborted) end();
    else until.addEventListener('abort', end);
    return () => {
      until.removeEventListener('abort', end);
    };
  });
}
