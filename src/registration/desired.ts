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
  // Keys of one source change together, so it is subscribed to once.
  const sources = [...new Set(entries.map(([, source]) => source))];
  const latest$ = combineLatest(
    sources.map((source): Observable<{ value: T } | undefined> =>
      isObservable(source)
        ? concat(source.pipe(map((value) => ({ value }))), of(undefined))
        : concat(of({ value: source }), NEVER),
    ),
  );
  const values$ = latest$.pipe(
    map((latest) =>
      entries.map(([key, source]) => {
        const now = latest[sources.indexOf(source)];
        return now && { value: now.value, bytes: encode(codec, key, now.value) };
      }),
    ),
  );
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

/** The values, if none of them is a stream. */
export function fixedValues<T>(entries: DesiredOptions<T>['entries'], codec: Codec<T>): PresentValues<T> | undefined {
  if (entries.some(([, source]) => isObservable(source))) return undefined;
  const values = entries.map(([, source]) => source as T);
  const bytes = entries.map(([key, source]) => encode(codec, key, source as T));
  return { status: 'present', values, bytes };
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
  // A small one takes its place in a buffer with others: an ArrayBuffer of its own is ten times its size.
  if (bytes instanceof Uint8Array) return Buffer.from(bytes);
  throw new RxEtcdError('invalid-argument', `value: the codec gave no bytes for the value of ${JSON.stringify(key)}`);
}
