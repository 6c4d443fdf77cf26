import type { Observable, Subscription } from 'rxjs';
import { eventually } from './eventually.ts';

/** All that one subscription was given. */
export interface Recording<T> {
  readonly values: T[];
  readonly last: T | undefined;
  readonly error: unknown;
  readonly completed: boolean;
  /** The latest value, once it fits; throws at once when the source has failed. */
  reaches<S extends T>(fits: (value: T) => value is S, options?: ReachesOptions<T>): Promise<S>;
  reaches(fits: (value: T) => boolean, options?: ReachesOptions<T>): Promise<T>;
  readonly subscription: Subscription;
}

export interface ReachesOptions<T> {
  /** The name of the condition, for the failure message. */
  readonly what?: string;
  readonly withinMs?: number;
  /** How to show a value in the failure message. */
  readonly show?: (value: T) => string;
}

/** Subscribes, and keeps all that comes. */
export function record<T>(source$: Observable<T>): Recording<T> {
  const values: T[] = [];
  const end = { error: undefined as unknown, completed: false };
  const subscription = source$.subscribe({
    next: (value) => values.push(value),
    error: (error: unknown) => (end.error = error),
    complete: () => (end.completed = true),
  });
  return {
    values,
    subscription,
    get last() {
      return values.at(-1);
    },
    get error() {
      return end.error;
    },
    get completed() {
      return end.completed;
    },
    async reaches<S extends T>(
      fits: (value: T) => boolean,
      { what = 'the value', withinMs = 15_000, show = String }: ReachesOptions<T> = {},
    ) {
      const [found] = await eventually(
        () => {
          if (end.error !== undefined) throw end.error as Error;
          if (values.length > 0 && fits(values.at(-1) as T)) return [values.at(-1) as S];
          throw new Error(`so far: ${values.map(show).join(', ')}`);
        },
        { withinMs, what },
      );
      return found;
    },
  };
}
