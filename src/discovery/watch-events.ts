import { catchError, concatMap, defer, filter, from, map, tap, throwError, type Observable } from 'rxjs';
import type { Codec } from '../codecs/codec.ts';
import { invalidArgument, type RxEtcdError } from '../errors.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { toFault } from '../etcd/faults.ts';
import { compareKeys } from '../etcd/keys.ts';
import type { Connection, Member, WireEvent } from '../etcd/member.ts';
import { watchRange$ } from './watch-range.ts';
import { prefixRange } from './prefix-range.ts';
import type { PrefixState, ResyncReason } from './prefix-state.ts';
import { Snapshot } from './snapshot.ts';
import type { WatchPrefixOptions } from './watch-prefix-options.ts';

/**
 * One key written or deleted. `previous` is the value before, `undefined` where there was none, or none that could be
 * read. `rejected` is a put whose value the codec cannot read.
 */
export type PrefixEvent<T> =
  | { readonly type: 'put'; readonly key: string; readonly value: T; readonly previous: T | undefined }
  | { readonly type: 'rejected'; readonly key: string; readonly error: RxEtcdError; readonly previous: T | undefined }
  | { readonly type: 'delete'; readonly key: string; readonly previous: T | undefined };

/** A step of the history of a prefix, told apart by `type`. */
export type PrefixEvents<T> =
  | {
      /** All that one revision did under the prefix, in key order. */
      readonly type: 'events';
      readonly revision: number;
      readonly events: readonly PrefixEvent<T>[];
    }
  | {
      /**
       * The events up to here cannot be had any more, one by one: they were compacted away, or the cluster's history
       * was replaced. `snapshot` is what there is now; the next events follow its revision.
       */
      readonly type: 'resync';
      readonly reason: ResyncReason;
      readonly revision: number;
      readonly snapshot: Snapshot<T>;
    };

/** How {@link watchEvents$} follows a history. */
export interface WatchEventsOptions<T> extends WatchPrefixOptions<T> {
  /** The first revision whose events are wanted: to go on after the last one handled. Default: from now on. */
  readonly fromRevision?: number;
}

/**
 * The history of a prefix as it is written: every revision one emission, nothing coalesced.
 *
 * Cold; each subscription follows for itself. Revisions rise by emission and none is left out; where
 * etcd has compacted them away, a `resync` says so and brings the present snapshot. To survive a restart
 * of your own process, keep the last `revision` handled and go on with `fromRevision: revision + 1`.
 *
 * To know `previous` for certain, also when compaction took it on the server, the prefix is listed first (at
 * the revision before `fromRevision`) and held in memory, as {@link watchPrefix$} does.
 *
 * Never completes; errors as {@link watchPrefixState$}. Unsubscribing cancels the watcher on the server.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { watchEvents$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchEvents$(etcd, '/services/').subscribe((step) => {
 *   if (step.type === 'events') for (const event of step.events) console.log(step.revision, event.type, event.key);
 *   else console.warn('events lost up to', step.revision, step.reason);
 * });
 * ```
 */
export function watchEvents$(
  client: EtcdClient,
  prefix: string,
  options?: WatchEventsOptions<string>,
): Observable<PrefixEvents<string>>;
export function watchEvents$<T>(
  client: EtcdClient,
  prefix: string,
  options: WatchEventsOptions<T> & { readonly codec: Codec<T> },
): Observable<PrefixEvents<T>>;
export function watchEvents$<T>(
  client: EtcdClient,
  prefix: string,
  options: WatchEventsOptions<T> = {},
): Observable<PrefixEvents<T>> {
  const { connection, namespace } = resolveClient(client);
  const { fromRevision, ...rest } = options;
  if (fromRevision !== undefined && !(Number.isSafeInteger(fromRevision) && fromRevision >= 1)) {
    throw invalidArgument('options.fromRevision', 'a whole number from 1', fromRevision);
  }
  const range = prefixRange('prefix', prefix, namespace);
  return defer(() => {
    let before: LiveState<T> | undefined;
    let lost: ResyncReason | undefined;
    const byRevision = revisionByRevision(connection, fromRevision, (reason) => {
      lost = reason;
    });
    return watchRange$<T>(byRevision, range, rest).pipe(
      filter((state): state is LiveState<T> => state.status === 'live'),
      concatMap((state) => {
        const known = before;
        before = state;
        const resync = state.resync ?? lost;
        lost = undefined;
        return from(stepsBetween(known, state, resync));
      }),
    );
  });
}

/** A live state as a followed range gives it: its `rejected` is a snapshot as well. */
type LiveState<T> = Extract<PrefixState<T>, { status: 'live' }> & { readonly rejected: Snapshot<RxEtcdError> };

function stepsBetween<T>(
  before: LiveState<T> | undefined,
  { snapshot, rejected }: LiveState<T>,
  resync: ResyncReason | undefined,
): PrefixEvents<T>[] {
  if (resync !== undefined) return [{ type: 'resync', reason: resync, revision: snapshot.revision, snapshot }];
  if (before === undefined || (before.snapshot === snapshot && before.rejected === rejected)) return [];
  const events = new Map<string, PrefixEvent<T>>();
  // A revision writes a key at most once, so its events are the difference it made.
  Snapshot.diff(before.snapshot, snapshot, (key, old, now) => {
    if (now !== undefined) events.set(key, { type: 'put', key, value: now.value, previous: old?.value });
    else if (old !== undefined) events.set(key, { type: 'delete', key, previous: old.value });
  });
  if (before.rejected !== rejected) {
    Snapshot.diff(before.rejected, rejected, (key, _, now) => {
      const event = events.get(key);
      if (now !== undefined) events.set(key, { type: 'rejected', key, error: now.value, previous: event?.previous });
      else if (event === undefined) events.set(key, { type: 'delete', key, previous: undefined });
    });
  }
  const revision = Math.max(snapshot.revision, rejected.revision);
  return [{ type: 'events', revision, events: inKeyOrder([...events.values()]) }];
}

function inKeyOrder<T>(events: PrefixEvent<T>[]): PrefixEvent<T>[] {
  return events.length < 2 ? events : events.sort((a, b) => compareKeys(a.key, b.key));
}

type MemberSource = Pick<Connection, 'member$'>;

/**
 * The same connection, whose first list is of the past, and whose watches tell one revision at a time. `onLost`
 * hears that the past cannot be had; then the list is of the present.
 */
function revisionByRevision(
  connection: MemberSource,
  fromRevision: number | undefined,
  onLost: (reason: ResyncReason) => void,
): MemberSource {
  // Nothing was ever written at revision 1.
  let listAt = fromRevision === undefined ? undefined : Math.max(1, fromRevision - 1);
  const list$ =
    (member: Member): Member['list$'] =>
    (range) =>
      defer(() => {
        let pages = 0;
        return member.list$(range, listAt).pipe(
          tap({
            next: () => {
              pages += 1;
            },
            complete: () => {
              listAt = undefined;
            },
          }),
          catchError((error: unknown) => {
            const { kind } = toFault(error);
            if (listAt === undefined || (kind !== 'compacted' && kind !== 'future-revision'))
              return throwError(() => error);
            listAt = undefined;
            onLost(kind === 'compacted' ? 'compacted' : 'history-replaced');
            // Pages already given are of the past: then the list is begun anew from above.
            return pages > 0 ? throwError(() => error) : member.list$(range);
          }),
        );
      });
  const byRevision = (member: Member): Member => ({
    ...member,
    list$: list$(member),
    watch$: (request) =>
      member
        .watch$(request)
        .pipe(
          concatMap((message) =>
            message.type === 'created'
              ? [message]
              : splitRevisions(message.events).map((events) => ({ ...message, events })),
          ),
        ),
  });
  return {
    member$: connection.member$.pipe(
      map((state) => (state.status === 'up' ? { ...state, member: byRevision(state.member) } : state)),
    ),
  };
}

function splitRevisions(events: readonly WireEvent[]): WireEvent[][] {
  const runs: WireEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.modRevision === event.modRevision) run.push(event);
    else runs.push([event]);
  }
  return runs;
}
