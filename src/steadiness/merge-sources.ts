import { Observable, asyncScheduler, map, merge, type ObservableInput, type SchedulerLike } from 'rxjs';
import { booleanArgument, optionsArgument, schedulerArgument, streamArgument$ } from '../arguments.ts';
import { forEachDifference } from '../discovery/differences.ts';
import type { PrefixState } from '../discovery/prefix-state.ts';
import { Snapshot, type EntryChange } from '../discovery/snapshot.ts';
import { invalidArgument, passingError, type RxEtcdError } from '../errors.ts';
import { forward } from '../observers.ts';
import {
  isState,
  resyncOf,
  snapshotIn,
  stateOrSnapshot,
  unchanging,
  type StateOrSnapshot,
} from './state-or-snapshot.ts';

/** A value with where it comes from. */
export interface Sourced<T> {
  /** The source's name, as given to `mergeSources$`. */
  readonly source: string;
  /** The key in that source. */
  readonly key: string;
  readonly value: T;
}

/** How {@link mergeSources$} names what it merges. */
export interface MergeSourcesOptions {
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
 * import { mergeSources$, watchPrefixState$ } from 'rx-etcd';
 *
 * const eu = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * const us = new Etcd3({ hosts: ['http://127.0.0.2:2379'] });
 * mergeSources$({ eu: watchPrefixState$(eu, '/user/'), us: watchPrefixState$(us, '/user/') }).subscribe((state) => {
 *   if (state.status === 'live') for (const { source, value } of state.snapshot.values()) console.log(source, value);
 * });
 * ```
 */
export function mergeSources$<T>(
  sources: Readonly<Record<string, ObservableInput<StateOrSnapshot<T>>>>,
  options?: MergeSourcesOptions,
): Observable<PrefixState<Sourced<T>>> {
  const { partial = false, scheduler = asyncScheduler } = optionsArgument('options', options, {
    partial: true,
    scheduler: true,
  });
  booleanArgument('options.partial', partial);
  schedulerArgument('options.scheduler', scheduler);
  const named = namedSources(sources);

  return new Observable((subscriber) => {
    const startMs = scheduler.now();
    const merged = new MergedSources<T>(
      named.map(([name]) => name),
      partial ? startMs : undefined,
    );
    const steps = named.map(([name, source$]) => source$.pipe(map((known) => [name, known] as const)));
    forward(merge(...steps), subscriber, ([name, known]) => {
      subscriber.next(merged.take(name, stateOrSnapshot('mergeSources$', known)));
    });
  });
}

function namedSources<T>(
  sources: Readonly<Record<string, ObservableInput<StateOrSnapshot<T>>>>,
): (readonly [name: string, source$: Observable<StateOrSnapshot<T>>])[] {
  if (typeof sources !== 'object' || (sources as object | null) === null || Array.isArray(sources)) {
    throw invalidArgument('sources', 'an object with a stream for each name', sources);
  }
  const names = Object.keys(sources);
  if (names.length === 0) throw invalidArgument('sources', 'at least one source', sources);
  return names.map((name) => {
    if (name.includes(':')) throw invalidArgument('sources', 'names without ":"', name);
    return [name, streamArgument$(`sources.${name}`, sources[name] as ObservableInput<StateOrSnapshot<T>>)] as const;
  });
}

type Pending = Extract<PrefixState<unknown>, { status: 'pending' }>;
type Stale = Extract<PrefixState<unknown>, { status: 'stale' }>;

/** What is known of each source, and of all of them together. */
class MergedSources<T> {
  readonly #states: Map<string, StateOrSnapshot<T>>;
  /** Since when a part is shown as stale; `undefined` when all are waited for. */
  readonly #partialSinceMs: number | undefined;
  #snapshot = Snapshot.of<Sourced<T>>([]);
  #rejected = Snapshot.of<RxEtcdError>([]);

  constructor(names: readonly string[], partialSinceMs: number | undefined) {
    this.#states = new Map(names.map((name) => [name, { status: 'pending', attempt: 0, listed: 0 }]));
    this.#partialSinceMs = partialSinceMs;
  }

  /** The merged state after another one of a source. */
  take(name: string, given: StateOrSnapshot<T>): PrefixState<Sourced<T>> {
    const before = this.#states.get(name);
    const known = isState(given) ? given : unchanging(given);
    this.#states.set(name, known);
    this.#snapshot = mergeChanges(
      this.#snapshot,
      name,
      before && snapshotIn(before),
      snapshotIn(known),
      (key, value) => ({
        source: name,
        key,
        value,
      }),
    );
    this.#rejected = mergeChanges(
      this.#rejected,
      name,
      before && rejectedIn(before),
      rejectedIn(known),
      (_, error) => error,
    );
    return this.#state(resyncOf(known));
  }

  #state(resync: ReturnType<typeof resyncOf>): PrefixState<Sourced<T>> {
    const [snapshot, rejected] = [this.#snapshot, this.#rejected];
    const pending: (readonly [name: string, state: Pending])[] = [];
    let oldest: Stale | undefined;
    for (const [name, known] of this.#states) {
      if (!isState(known)) continue;
      if (known.status === 'pending') pending.push([name, known]);
      if (known.status === 'stale' && !(oldest !== undefined && oldest.sinceMs <= known.sinceMs)) oldest = known;
    }
    const [first] = pending;
    if (first !== undefined && (pending.length === this.#states.size || this.#partialSinceMs === undefined)) {
      const waiting = pending.map(([, state]) => state);
      const cause = waiting.find((state) => state.cause !== undefined)?.cause;
      const attempt = Math.max(...waiting.map((state) => state.attempt));
      const listed = waiting.reduce((sum, state) => sum + state.listed, snapshot.size);
      return { status: 'pending', attempt, listed, ...(cause !== undefined && { cause }) };
    }
    if (oldest !== undefined) {
      const { sinceMs, cause, attempt } = oldest;
      return { status: 'stale', snapshot, rejected, sinceMs, cause, attempt };
    }
    if (first !== undefined) {
      const names = pending.map(([name]) => name).join(', ');
      const [, { attempt, cause = passingError('stale', `nothing is known yet of ${names}`) }] = first;
      return { status: 'stale', snapshot, rejected, sinceMs: this.#partialSinceMs as number, cause, attempt };
    }
    return { status: 'live', snapshot, rejected, ...(resync !== undefined && { resync }) };
  }
}

/** The merged snapshot after a source's one, under keys with the source's name. Costs what differs. */
function mergeChanges<V, M>(
  merged: Snapshot<M>,
  name: string,
  before: ReadonlyMap<string, V> = new Map(),
  after: ReadonlyMap<string, V> = before,
  toMerged: (key: string, value: V) => M,
): Snapshot<M> {
  if (before === after) return merged;
  const changes: EntryChange<M>[] = [];
  // An empty Map against a Snapshot would be read key by key, and lose the revisions of the entries.
  const comparable = after instanceof Snapshot ? Snapshot.from(before) : before;
  forEachDifference(comparable, after, (key, _old, now) => {
    changes.push([`${name}:${key}`, now?.withValue(toMerged(key, now.value))]);
  });
  const revision = after instanceof Snapshot ? after.revision : 0;
  return Snapshot.change(merged, changes, Math.max(merged.revision, revision));
}

function rejectedIn(known: StateOrSnapshot<unknown>): ReadonlyMap<string, RxEtcdError> | undefined {
  return isState(known) && known.status !== 'pending' ? known.rejected : undefined;
}
