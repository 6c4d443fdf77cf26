import {
  NEVER,
  Observable,
  combineLatest,
  concat,
  concatWith,
  distinctUntilChanged,
  from,
  map,
  of,
  startWith,
  takeWhile,
  type ObservableInput,
} from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { TEXT } from '../codecs/text.ts';
import { RxEtcdError, invalidArgument, quoted } from '../errors.ts';
import type { RegisteredKey } from './reconcile.ts';

/** A value to register: fixed, or the latest of a stream. */
export type ValueSource<T> = T | Observable<T> | AsyncIterable<T>;

/** Keys with their values, as a Map or a record. */
export type Entries<V> = ReadonlyMap<string, V> | Readonly<Record<string, V>>;

export interface PresentValues<T> {
  readonly status: 'present';
  readonly entries: ReadonlyMap<string, T>;
  readonly keys: readonly RegisteredKey[];
  /** One for each key. */
  readonly bytes: readonly Uint8Array[];
}

/** What a registration should have in etcd. */
export type Desired<T> = PresentValues<T> | { readonly status: 'absent' };

export interface DesiredOptions<T> {
  /** Fixed keys, and where the value of each comes from. */
  readonly keys: readonly RegisteredKey[];
  readonly sources: readonly ValueSource<T>[];
  /** In place of them: sets of keys that replace one another. */
  readonly sets?: KeySets<T> | undefined;
  readonly codec: Codec<T>;
  readonly ready: ObservableInput<boolean> | undefined;
}

export interface KeySets<T> {
  readonly source: Observable<Entries<T>> | AsyncIterable<Entries<T>>;
  readonly toKey: (name: string) => RegisteredKey;
}

/**
 * The values together, all or none; absent while not ready. Completes with the first stream of values or keys that
 * does. A value that does not encode, and a key that is none, is an error.
 */
export function desired$<T>(options: DesiredOptions<T>): Observable<Desired<T>> {
  const { sets, ready } = options;
  const present$ = sets === undefined ? presentOf$(options) : presentOfSets$(sets, options.codec);
  const ready$ = ready === undefined ? of(true) : from(ready).pipe(startWith(false));
  return combineLatest([
    concat(present$, of(undefined)),
    ready$.pipe(map(Boolean), distinctUntilChanged(), concatWith(NEVER)),
  ]).pipe(
    takeWhile(([present]) => present !== undefined),
    map(([present, isReady]): Desired<T> => (isReady ? (present as PresentValues<T>) : { status: 'absent' })),
  );
}

/** The values, if none of them is a stream. */
export function fixedValues<T>({ keys, sources, sets, codec }: DesiredOptions<T>): PresentValues<T> | undefined {
  if (sets !== undefined || sources.some(isStream)) return undefined;
  return present(keys, sources as readonly T[], codec);
}

/** These values in place of the ones there are. */
export function present<T>(keys: readonly RegisteredKey[], values: readonly T[], codec: Codec<T>): PresentValues<T> {
  const bytes = keys.map(({ name }, index) => encode(codec, name, values[index] as T));
  const entries = new Map(keys.map(({ name }, index) => [name, values[index] as T]));
  return { status: 'present', entries, keys, bytes };
}

/** The bytes of a value, or a thrown `invalid-argument`. */
export function encode<T>(codec: Codec<T>, key: string, value: T): Uint8Array {
  // It would write anything, `[object Object]` for one.
  if (codec === (TEXT as Codec<unknown>) && typeof value !== 'string') {
    throw invalidArgument('value', 'a string, or a `codec` option', value);
  }
  let bytes: unknown;
  try {
    bytes = codec.encode(value, key);
  } catch (error) {
    throw new RxEtcdError('invalid-argument', `value: the codec cannot encode the value of ${quoted(key)}`, {
      cause: error,
    });
  }
  // A small one takes its place in a buffer with others: an ArrayBuffer of its own is ten times its size.
  if (bytes instanceof Uint8Array) return Buffer.from(bytes);
  throw new RxEtcdError('invalid-argument', `value: the codec gave no bytes for the value of ${quoted(key)}`);
}

/** Whether it is surely no value itself. */
export function isStream(source: unknown): source is Observable<unknown> | AsyncIterable<unknown> {
  if (typeof source !== 'object' || source === null) return false;
  return source instanceof Observable || hasMethod(source, 'subscribe') || hasMethod(source, Symbol.asyncIterator);
}

/** Keys and their values, or a thrown `invalid-argument`. */
export function entriesArgument<V>(argument: string, entries: Entries<V>): [key: string, value: V][] {
  if (typeof entries === 'object' && (entries as unknown) !== null) {
    if (hasMethod(entries, 'entries') && hasMethod(entries, 'get')) return [...(entries as ReadonlyMap<string, V>)];
    if (!Array.isArray(entries) && !hasMethod(entries, 'then')) return Object.entries(entries);
  }
  throw invalidArgument(argument, 'a Map or a record of keys with their values', entries);
}

function presentOf$<T>({ keys, sources, codec }: DesiredOptions<T>): Observable<PresentValues<T>> {
  // Keys of one source change together, so it is subscribed to once.
  const distinct = [...new Set(sources)];
  const places = new Map(distinct.map((source, index) => [source, index]));
  const latest$ = combineLatest(
    distinct.map((source): Observable<{ value: T } | undefined> =>
      isStream(source)
        ? concat(from(source as ObservableInput<T>).pipe(map((value) => ({ value }))), of(undefined))
        : concat(of({ value: source }), NEVER),
    ),
  );
  return latest$.pipe(
    takeWhile((latest) => latest.every((each) => each !== undefined)),
    map((latest) => {
      const values = sources.map((source) => (latest[places.get(source) as number] as { value: T }).value);
      return present(keys, values, codec);
    }),
  );
}

function presentOfSets$<T>({ source, toKey }: KeySets<T>, codec: Codec<T>): Observable<PresentValues<T>> {
  return from(source).pipe(
    map((set) => {
      const entries = entriesArgument('entries', set);
      return present(
        entries.map(([name]) => toKey(name)),
        entries.map(([, value]) => value),
        codec,
      );
    }),
  );
}

function hasMethod(value: object, name: PropertyKey): boolean {
  return typeof (value as Record<PropertyKey, unknown>)[name] === 'function';
}
