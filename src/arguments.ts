import { from, type Observable, type ObservableInput, type SchedulerLike } from 'rxjs';
import { RxEtcdError, invalidArgument, quoted } from './errors.ts';

/** The options that there are, by name: `keyof`, but at run time. The compiler holds it against the interface. */
export type OptionNames<O> = Readonly<Record<keyof O, true>>;

/**
 * The options that a user gave. Throws `invalid-argument` for a value that is no object, and for an unknown option,
 * with the known one that was probably meant: a misspelt option would be ignored in silence.
 */
export function optionsArgument<O extends object>(argument: string, options: O | undefined, names: OptionNames<O>): O {
  if (options === undefined) return {} as O;
  if (typeof options !== 'object' || (options as O | null) === null || Array.isArray(options)) {
    throw invalidArgument(argument, 'an object of options', options);
  }
  const known = Object.keys(names);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const place = /^[\w$]{1,40}$/.test(name) ? `${argument}.${name}` : `${argument}[${quoted(name)}]`;
    const nearest = nearestTo(name.slice(0, 40), known);
    const hint = nearest === undefined ? `known are ${known.join(', ')}` : `did you mean ${nearest}?`;
    throw new RxEtcdError('invalid-argument', `${place}: there is no such option; ${hint}`);
  }
  return options;
}

/** A function that a user gave; `undefined` passes. */
export function functionArgument<F>(argument: string, value: F): F {
  if (value !== undefined && typeof value !== 'function') throw invalidArgument(argument, 'a function', value);
  return value;
}

/** A scheduler that a user gave; `undefined` passes. */
export function schedulerArgument<S extends SchedulerLike | undefined>(argument: string, value: S): S {
  const { now, schedule } = (value ?? {}) as Partial<SchedulerLike>;
  if (value !== undefined && (typeof now !== 'function' || typeof schedule !== 'function')) {
    throw invalidArgument(argument, 'a scheduler of RxJS', value);
  }
  return value;
}

/** A boolean that a user gave; `undefined` passes. */
export function booleanArgument<B extends boolean | undefined>(argument: string, value: B): B {
  if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(argument, 'true or false', value);
  return value;
}

/** What a user gave as a stream: anything that RxJS makes an Observable of, but for text. */
export function streamArgument$<T>(argument: string, value: ObservableInput<T>): Observable<T> {
  const wanted = 'an Observable, or what RxJS can make one of';
  if (typeof value === 'string') throw invalidArgument(argument, wanted, value);
  try {
    return from(value);
  } catch {
    throw invalidArgument(argument, wanted, value);
  }
}

/** Whether it can be read as a Map, whatever it is otherwise. */
export function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const { get, has, keys, [Symbol.iterator]: iterate, size } = value as Partial<ReadonlyMap<unknown, unknown>>;
  return typeof size === 'number' && [get, has, keys, iterate].every((method) => typeof method === 'function');
}

/** The name that few changes make of another one, `undefined` when none is near. */
function nearestTo(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const distances = known.map((each) => {
    const candidate = each.toLowerCase();
    const isPart = wanted.length > 2 && (candidate.includes(wanted) || wanted.includes(candidate));
    return { each, distance: isPart ? 1 : distanceBetween(wanted, candidate) };
  });
  const best = distances.reduce((a, b) => (b.distance < a.distance ? b : a), { each: '', distance: Infinity });
  return best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.each : undefined;
}

/**
 * How many letters have to be added, left out, replaced or swapped.
 *
 * @source https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance
 */
function distanceBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
