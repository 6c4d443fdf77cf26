import { Observable, Subscription, type MonoTypeOperatorFunction, type SchedulerLike } from 'rxjs';
import { forEachDifference } from '../discovery/differences.ts';
import type { SnapshotEntry } from '../discovery/snapshot-entry.ts';
import { forward } from '../observers.ts';
import {
  snapshotIn,
  stateOrSnapshot,
  statusOf,
  unchanging,
  withEntries,
  withResync,
  withSnapshot,
  type StateOrSnapshot,
} from './state-or-snapshot.ts';

/** How {@link retainRemoved} treats entries that were removed. */
export interface RetentionPolicy {
  /** The operator that the user calls, for messages. */
  readonly operator: string;
  /** How long a removed entry is retained, from its removal. */
  readonly ms: number;
  readonly scheduler: SchedulerLike;
  /** Whether that time is paused while the source is stale. */
  readonly pauseWhileStale: boolean;
  /** Whether the retained entries are shown, by how many there are beside those that remain. */
  readonly shows: (remaining: number, retained: number) => boolean;
}

/**
 * Retains entries for a while after their removal, and shows them with the others as the policy says: what
 * `holdRemovals` and `protectEmpty` have in common. An entry that comes back is no longer a retained one.
 */
export function retainRemoved<K extends StateOrSnapshot<unknown>>(
  policy: RetentionPolicy,
): MonoTypeOperatorFunction<K> {
  const { operator, ms, scheduler, pauseWhileStale, shows } = policy;
  return (source) =>
    new Observable<K>((subscriber) => {
      let latest: StateOrSnapshot<unknown> | undefined;
      let current: ReadonlyMap<string, unknown> = new Map();
      // In the order of their removal.
      const retained = new Map<string, { readonly entry: SnapshotEntry<unknown>; readonly atMs: number }>();
      const clock = pausableClock(scheduler);
      let timer = Subscription.EMPTY;
      let timerEndsAtMs = 0;
      /** Entries removed until then are dropped when the timer ends. */
      let timerForMs = 0;

      const showing = (): boolean => retained.size > 0 && shows(current.size, retained.size);

      const emit = (): void => {
        let shown = latest as StateOrSnapshot<unknown>;
        if (showing()) shown = withSnapshot(shown, withEntries(current, entriesOf(retained)));
        subscriber.next(shown as K);
      };

      const startTimer = (delayMs: number): void => {
        timerEndsAtMs = clock.now() + delayMs;
        timer = scheduler.schedule(expire, delayMs);
      };

      const timerFor = (head: { readonly atMs: number }, delayMs: number): void => {
        timerForMs = head.atMs;
        startTimer(delayMs);
      };

      // Counts from timer to timer and not by the clock, which can be set: so it always ends.
      const expire = (): void => {
        const wasShowing = showing();
        const before = retained.size;
        for (const [key, { atMs }] of retained) {
          if (atMs > timerForMs) break;
          retained.delete(key);
        }
        const [head] = retained.values();
        if (head !== undefined) timerFor(head, Math.min(ms, head.atMs - timerForMs));
        if (wasShowing && retained.size < before) emit();
      };

      const pauseOrResume = (stale: boolean): void => {
        if (stale === clock.isPaused()) return;
        if (stale) {
          timer.unsubscribe();
          clock.pause();
        } else {
          clock.resume();
          if (retained.size > 0) startTimer(Math.min(ms, Math.max(0, timerEndsAtMs - clock.now())));
        }
      };

      const take = (next: ReadonlyMap<string, unknown>): void => {
        const wasEmpty = retained.size === 0;
        const atMs = clock.now();
        forEachDifference(current, next, (key, before, after) => {
          retained.delete(key);
          if (before !== undefined && after === undefined) retained.set(key, { entry: before, atMs });
        });
        current = unchanging(next);
        const [head] = retained.values();
        if (head === undefined) timer.unsubscribe();
        else if (wasEmpty) {
          if (clock.isPaused()) [timerForMs, timerEndsAtMs] = [atMs, atMs + ms];
          else timerFor(head, ms);
        }
      };

      subscriber.add(() => {
        timer.unsubscribe();
      });
      forward(source, subscriber, (known) => {
        latest = stateOrSnapshot(operator, known);
        if (pauseWhileStale) pauseOrResume(statusOf(known) === 'stale');
        const next = snapshotIn(known);
        if (next !== undefined) take(next);
        emit();
        // A later state that the timer emits is not the first one after a resync.
        latest = withResync(known, undefined);
      });
    });
}

function* entriesOf<T>(
  retained: ReadonlyMap<string, { readonly entry: SnapshotEntry<T> }>,
): Generator<readonly [string, SnapshotEntry<T>], undefined> {
  for (const [key, { entry }] of retained) yield [key, entry];
}

interface PausableClock {
  now(): number;
  isPaused(): boolean;
  pause(): void;
  resume(): void;
}

/** The scheduler's clock without the time for which it was paused. */
function pausableClock(scheduler: SchedulerLike): PausableClock {
  let pausedMs = 0;
  let pausedSinceMs: number | undefined;
  return {
    now: () => (pausedSinceMs ?? scheduler.now()) - pausedMs,
    isPaused: () => pausedSinceMs !== undefined,
    pause: () => (pausedSinceMs = scheduler.now()),
    resume: () => {
      pausedMs += scheduler.now() - (pausedSinceMs as number);
      pausedSinceMs = undefined;
    },
  };
}
