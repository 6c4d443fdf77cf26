import { Observable, asyncScheduler, from, map, merge, type ObservableInput, type SchedulerLike } from 'rxjs';
import type { PrefixState, RejectedKeys } from '../discovery/prefix-state.ts';
import { Snapshot, type EntryChange } from '../discovery/snapshot.ts';
import { invalidArgument, passingError } from '../errors.ts';
import { forEachDifference, snapshotIn, statusOf, type Known } from './known.ts';

/** A value with where it comes from. */
export interface Sourced<T> {
  /** The source's name, as given to `mergePrefixes$`. */
  readonly source: string;
  /** The key in that source. */
  readonly key: string;
  readonly value: T;
}

/** How {@link mergePrefixes$} names what it merges. */
export interface MergePrefixesOptions {
  /**
   * Whether to begin when the first source is known, rather than when all are. Until all are known the
   * state is `stale` then. Default: false, because a part would look like the whole.
   */
  readonly partial?: boolean;
  /** The clock; the same as the sources'. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Makes one snapshot of several: prefixes, namespaces or clusters, each entry with where it comes from.
 *
 * ```text
 * eu         pending-live{a}--------------stale{a}-----
 * us         pending--------live{a}---------------------
 * merged     pending--------live{eu:a,us:a}-stale{eu:a,us:a}-
 * ```
 *
 * Takes named streams of states or of snapshots, which count as live, and gives states. An entry's key is
 * `<name>:<key>`, so that equal keys of two clusters stay apart; its value tells the name, the key and the
 * value. The merged state is `pending` until every source is known (see `partial`), `live` when all are
 * live, otherwise `stale` since the first contact was lost. `rejected` has the keys of all. `revision` is the
 * highest of all sources', which says something only within one cluster. A reason of a resync passes.
 * Merging costs what changed, not the size.
 *
 * Cold: all sources are subscribed at once. An error of one is an error of all; it completes when all have.
 * Throws `invalid-argument` for no sources and for a name that has a `:`.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { mergePrefixes$, watchPrefixState$ } from 'rx-etcd';
 *
 * const eu = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const us = new Etcd3({ hosts: ['http://127.0.0.2:2379'] });
 * mergePrefixes$({ eu: watchPrefixState$(eu, '/user/'), us: watchPrefixState$(us, '/user/') }).subscribe((state) => {
 *   if (state.status === 'live') for (const { source, value } of state.snapshot.values()) console.log(source, value);
 * });
 * ```
 */
export function mergePrefixes$<T>(
  sources: Readonly<Record<string, ObservableInput<Known<T>>>>,
  options: MergePrefixesOptions = {},
): Observable<PrefixState<Sourced<T>>> {
  const { partial = false, scheduler = asyncScheduler } = options;
  const names = Object.keys(sources);
  if (names.length === 0) throw invalidArgument('sources', 'at least one source', sources);
  for (const name of names) if (name.includes(':')) throw invalidArgument('sources', 'names without ":"', name);

  return new Observable((subscriber) => {
    const startMs = scheduler.now();
    const states = new Map<string, Known<T>>(names.map((name) => [name, { status: 'pending', attempt: 0, listed: 0 }]));
    let snapshot = Snapshot.of<Sourced<T>>([]);
    const named = Object.entries(sources).map(([name, source]) =>
      from(source).pipe(map((known) => [name, known] as const)),
    );
    return merge(...named).subscribe({
      next: ([name, known]) => {
        const before = states.get(name) as Known<T>;
        states.set(name, known);
        snapshot = mergedSnapshot(snapshot, name, snapshotIn(before), snapshotIn(known));
        subscriber.next(mergedState(states, known, snapshot, partial ? startMs : undefined));
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
      complete: () => {
        subscriber.complete();
      },
    });
  });
}

function mergedSnapshot<T>(
  merged: Snapshot<Sourced<T>>,
  source: string,
  before: ReadonlyMap<string, T> = new Map(),
  after: ReadonlyMap<string, T> = before,
): Snapshot<Sourced<T>> {
  if (before === after) return merged;
  const changes: EntryChange<Sourced<T>>[] = [];
  forEachDifference(
    before instanceof Snapshot || !(after instanceof Snapshot) ? before : Snapshot.of(before),
    after,
    (key, _old, now) => {
      changes.push([
        `${source}:${key}`,
        now === undefined ? undefined : now.withValue({ source, key, value: now.value }),
      ]);
    },
  );
  const revision = after instanceof Snapshot ? after.revision : 0;
  return Snapshot.change(merged, changes, Math.max(merged.revision, revision));
}

function mergedState<T>(
  states: ReadonlyMap<string, Known<T>>,
  latest: Known<T>,
  snapshot: Snapshot<Sourced<T>>,
  /** Since when a part is shown as stale; `undefined` when all are waited for. */
  partialSinceMs: number | undefined,
): PrefixState<Sourced<T>> {
  const all = [...states].map(([name, known]) => [name, stateOf(known)] as const);
  const pending = all.flatMap(([, state]) => (state.status === 'pending' ? [state] : []));
  const stale = all.flatMap(([, state]) => (state.status === 'stale' ? [state] : []));
  if (pending.length === all.length || (pending.length > 0 && partialSinceMs === undefined)) {
    const cause = pending.find((state) => state.cause !== undefined)?.cause;
    const attempt = Math.max(...pending.map((state) => state.attempt));
    const listed = snapshot.size + pending.reduce((sum, state) => sum + state.listed, 0);
    return { status: 'pending', attempt, listed, ...(cause !== undefined && { cause }) };
  }
  const rejected: RejectedKeys = new Map(
    all.flatMap(([name, state]) =>
      state.status === 'pending' ? [] : [...state.rejected].map(([key, error]) => [`${name}:${key}`, error] as const),
    ),
  );
  const oldest = stale.toSorted((a, b) => a.sinceMs - b.sinceMs)[0];
  if (oldest !== undefined) {
    const { sinceMs, cause, attempt } = oldest;
    return { status: 'stale', snapshot, rejected, sinceMs, cause, attempt };
  }
  const waiting = pending[0];
  if (waiting !== undefined && partialSinceMs !== undefined) {
    const names = all.flatMap(([name, state]) => (state.status === 'pending' ? [name] : []));
    const cause = waiting.cause ?? passingError('stale', `nothing is known yet of ${names.join(', ')}`);
    return { status: 'stale', snapshot, rejected, sinceMs: partialSinceMs, cause, attempt: waiting.attempt };
  }
  const resync =
    statusOf(latest) === 'live' ? (stateOf(latest) as Extract<PrefixState<T>, { status: 'live' }>).resync : undefined;
  return { status: 'live', snapshot, rejected, ...(resync !== undefined && { resync }) };
}

const NONE: RejectedKeys = new Map();

function stateOf<T>(known: Known<T>): PrefixState<T> {
  return 'status' in known ? known : { status: 'live', snapshot: known as Snapshot<T>, rejected: NONE };
}
