import { filter, map, type Observable } from 'rxjs';
import { optionsArgument } from '../arguments.ts';
import type { Codec } from '../codecs/codec.ts';
import { invalidArgument, type RxEtcdError } from '../errors.ts';
import { resolveClient } from '../etcd/connection.ts';
import type { EtcdClient } from '../etcd/etcd3-client.ts';
import { compareKeys } from '../etcd/keys.ts';
import type { WireEvent } from '../etcd/member.ts';
import { prefixRange } from './prefix-range.ts';
import type { ResyncReason } from './prefix-state.ts';
import type { AppliedEvents, RangeUpdate } from './range-update.ts';
import type { Snapshot } from './snapshot.ts';
import { WATCH_PREFIX_OPTIONS, type WatchPrefixOptions } from './watch-prefix-options.ts';
import { rangeUpdates$ } from './watch-range.ts';

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
  options?: WatchEventsOptions<T>,
): Observable<PrefixEvents<T>> {
  const { connection, namespace } = resolveClient(client);
  const { fromRevision, ...rest } = optionsArgument<WatchEventsOptions<T>>('options', options, {
    ...WATCH_PREFIX_OPTIONS,
    fromRevision: true,
  });
  if (fromRevision !== undefined && !(Number.isSafeInteger(fromRevision) && fromRevision >= 1)) {
    throw invalidArgument('options.fromRevision', 'a whole number from 1', fromRevision);
  }
  const range = prefixRange('prefix', prefix, namespace);
  // Nothing was ever written at revision 1.
  const listRevision = fromRevision === undefined ? undefined : Math.max(1, fromRevision - 1);
  return rangeUpdates$<T>(connection, range, rest, { listRevision, eachRevision: true }).pipe(
    map(stepOf),
    filter((step) => step !== undefined),
  );
}

function stepOf<T>({ state, applied }: RangeUpdate<T>): PrefixEvents<T> | undefined {
  if (applied !== undefined) {
    const events = applied.events
      .map((event) => eventOf(event, applied))
      .filter((event) => event !== undefined)
      .sort((a, b) => compareKeys(a.key, b.key));
    return events.length === 0 ? undefined : { type: 'events', revision: applied.after.position, events };
  }
  if (state.status !== 'live' || state.resync === undefined) return undefined;
  const { snapshot } = state;
  return { type: 'resync', reason: state.resync, revision: snapshot.revision, snapshot };
}

/** The event of a key, a revision writes it at most once; undefined for what the codec skips before and after. */
function eventOf<T>({ key }: WireEvent, { before, after }: AppliedEvents<T>): PrefixEvent<T> | undefined {
  const previous = before.snapshot.get(key);
  const rejected = after.rejected.get(key);
  if (rejected !== undefined) return { type: 'rejected', key, error: rejected, previous };
  const value = after.snapshot.get(key);
  if (value !== undefined) return { type: 'put', key, value, previous };
  const wasTold = previous !== undefined || before.rejected.has(key);
  return wasTold ? { type: 'delete', key, previous } : undefined;
}
