import { EMPTY, from, isObservable, type Observable, type ObservableInput, type OperatorFunction } from 'rxjs';
import { invalidArgument } from '../errors.ts';
import type { Selector } from './selector.ts';

/** Throws for options that are no object, and for a name that none of them has: a misspelt one would do nothing. */
export function checkOptions<O extends object>(argument: string, options: O, known: Record<keyof O, true>): void {
  if (typeof options !== 'object' || (options as O | null) === null)
    throw invalidArgument(argument, 'an object', options);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    const value = (options as Record<string, unknown>)[name];
    throw invalidArgument(`${argument}.${name}`, `one of the options ${Object.keys(known).join(', ')}`, value);
  }
}

export function checkFunction(argument: string, value: unknown): void {
  if (typeof value !== 'function') throw invalidArgument(argument, 'a function', value);
}

/** A time source: any RxJS scheduler, or what has its `now()`. */
export function checkClock(argument: string, clock: unknown): void {
  if (typeof (clock as { now?: unknown } | null | undefined)?.now === 'function') return;
  throw invalidArgument(argument, 'a scheduler, or an object with now()', clock);
}

/** Throws unless `least <= value <= most`. */
export function checkNumber(argument: string, value: unknown, least: number, most: number = Infinity): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  throw invalidArgument(
    argument,
    `a number${most === Infinity ? `, ${least} or more` : ` from ${least} to ${most}`}`,
    value,
  );
}

export function checkWholeNumber(argument: string, value: unknown, least: number): void {
  if (Number.isInteger(value) && (value as number) >= least) return;
  throw invalidArgument(argument, `a whole number, ${least} or more`, value);
}

/** The stream of hosts that an argument is, or a thrown `invalid-argument`. */
export function hostsOf$<T>(
  argument: string,
  hosts$: ObservableInput<ReadonlyMap<string, T>>,
): Observable<ReadonlyMap<string, T>> {
  const wanted = 'an Observable of Maps from key to host';
  if (hosts$ instanceof Map) throw invalidArgument(argument, `${wanted}: of(hosts)`, hosts$);
  try {
    return from(hosts$);
  } catch {
    throw invalidArgument(argument, wanted, hosts$);
  }
}

/** Applies an operator that makes selectors, or throws an `invalid-argument`: `roundRobin` for `roundRobin()`, say. */
export function applySelector$<T>(
  argument: string,
  hosts$: Observable<ReadonlyMap<string, T>>,
  operator: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
): Observable<Selector<T>> {
  const wanted = 'an operator from hosts to selectors, as the call roundRobin() gives one';
  if (typeof operator !== 'function') throw invalidArgument(argument, wanted, operator);
  let selectors$: unknown;
  try {
    selectors$ = operator(hosts$);
  } catch (cause) {
    throw Object.assign(invalidArgument(argument, wanted, operator), { cause });
  }
  if (!isObservable(selectors$)) throw invalidArgument(argument, wanted, operator);
  return selectors$ as Observable<Selector<T>>;
}

/** Throws as {@link applySelector$} does, for an operator that is applied later. */
export function checkSelector<T>(
  argument: string,
  operator: OperatorFunction<ReadonlyMap<string, T>, Selector<T>>,
): void {
  void applySelector$(argument, EMPTY, operator);
}

/** What such an operator emitted, or a thrown `invalid-argument` when that is no selector. */
export function checkedSelector<T>(argument: string, selector: Selector<T>): Selector<T> {
  if (typeof (selector as Partial<Selector<T>> | null | undefined)?.pickEntry === 'function') return selector;
  throw invalidArgument(argument, 'an operator that emits selectors, as roundRobin() does', selector);
}
