import {
  NEVER,
  type Observable,
  combineLatest,
  concat,
  concatWith,
  distinctUntilChanged,
  isObservable,
  map,
  of,
  startWith,
  takeWhile,
} from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { RxEtcdError } from '../errors.ts';

/** A value to register: fixed, or the latest of a stream. */
export type ValueSource<T> = T | Observable<T>;

export interface PresentValues<T> {
  readonly status: 'present';
  /** One for each key, in the order of the keys. */
  readonly values: readonly T[];
  readonly bytes: readonly Uint8Array[];
}

/** What a registration should have in etcd. */
export type Desired<T> = PresentValues<T> | { readonly status: 'absent' };

export interface DesiredOptions<T> {
  readonly entries: readonly (readonly [key: string, source: ValueSource<T>])[];
  readonly codec: Codec<T>;
  readonly ready$: Observable<boolean> | undefined;
}

/**
 * The values together, all or none; absent while not ready. Completes with the first value stream that does.
 * A value that does not encode is an error.
 */
export function desired$<T>({ entries, codec, ready$ }: DesiredOptions<T>): Observable<Desired<T>> {
  const value$ = (key: string, source: ValueSource<T>): Observable<{ value: T; bytes: Uint8Array } | undefined> => {
    const encoded = (value: T): { value: T; bytes: Uint8Array } => ({ value, bytes: encode(codec, key, value) });
    return isObservable(source) ? concat(source.pipe(map(encoded)), of(undefined)) : concat(of(encoded(source)), NEVER);
  };
  const values$ = combineLatest(entries.map(([key, source]) => value$(key, source)));
  const gate$ = ready$ === undefined ? of(true) : ready$.pipe(startWith(false));
  return combineLatest([values$, gate$.pipe(distinctUntilChanged(), concatWith(NEVER))]).pipe(
    map(([values, ready]): Desired<T> | undefined => {
      if (!values.every((each) => each !== undefined)) return undefined;
      if (!ready) return { status: 'absent' };
      return { status: 'present', values: values.map(({ value }) => value), bytes: values.map(({ bytes }) => bytes) };
    }),
    takeWhile((desired) => desired !== undefined),
  );
}

/** The bytes of a value, or a thrown `invalid-argument`. */
export function encode<T>(codec: Codec<T>, key: string, value: T): Uint8Array {
  let bytes: unknown;
  try {
    bytes = codec.encode(value, key);
  } catch (error) {
    throw new RxEtcdError('invalid-argument', `value: the codec cannot encode the value of ${JSON.stringify(key)}`, {
      cause: error,
    });
  }
  if (bytes instanceof Uint8Array) return bytes;
  throw new RxEtcdError('invalid-argument', `value: the codec gave no bytes for the value of ${JSON.stringify(key)}`);
}
