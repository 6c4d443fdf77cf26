import { Observable, Subscription, type MonoTypeOperatorFunction, type SchedulerLike } from 'rxjs';
import type { SnapshotEntry } from '../discovery/snapshot-entry.ts';
import { forEachDifference, snapshotIn, statusOf, withEntries, withResync, withSnapshot, type Known } from './known.ts';

/** How {@link keepVanished} treats what vanished. */
export interface VanishedPolicy {
  /** How long a vanished entry is remembered, from when it vanished. */
  readonly ms: number;
  readonly scheduler: SchedulerLike;
  /** Whether that time stands still while the source is stale. */
  readonly standsWhileStale: boolean;
  /** Whether the remembered entries are shown, by how many there are beside those that remain. */
  readonly shows: (remaining: number, vanished: number) => boolean;
}

/**
 * Remembers, for a while, the entries that vanish, and shows them with the others as the policy says: what
 * `holdRemovals` and `protectEmpty` have in common. An entry that comes back is no longer a vanished one.
 */
export function keepVanished<K extends Known<unknown>>(policy: VanishedPolicy): MonoTypeOperatorFunction<K> {
  const { ms, scheduler, standsWhileStale, shows } = policy;
  return (source) =>
    new Observable<K>((subscriber) => {
      let latest: Known<unknown> | undefined;
      let current: ReadonlyMap<string, unknown> = new Map();
      // In the order in which they vanished.
      const vanished = new Map<string, { readonly entry: SnapshotEntry<unknown>; readonly atMs: number }>();
      const clock = standableClock(scheduler);
      let timer = Subscription.EMPTY;
      let timerEndsAtMs = 0;
      /** What vanished until then is forgotten when the timer ends. */
      let timerForMs = 0;

      const showing = (): boolean => vanished.size > 0 && shows(current.size, vanished.size);

      const emit = (): void => {
        let shown = latest as Known<unknown>;
        if (showing()) shown = withSnapshot(shown, withEntries(current, entriesOf(vanished)));
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
        const before = vanished.size;
        for (const [key, { atMs }] of vanished) {
          if (atMs > timerForMs) break;
          vanished.delete(key);
        }
        const [head] = vanished.values();
        if (head !== undefined) timerFor(head, Math.min(ms, head.atMs - timerForMs));
        if (wasShowing && vanished.size < before) emit();
      };

      const standOrGo = (stale: boolean): void => {
        if (stale === clock.stands()) return;
        if (stale) {
          timer.unsubscribe();
          clock.stand();
        } else {
          clock.go();
          if (vanished.size > 0) startTimer(Math.min(ms, Math.max(0, timerEndsAtMs - clock.now())));
        }
      };

      const take = (next: ReadonlyMap<string, unknown>): void => {
        const wasEmpty = vanished.size === 0;
        const atMs = clock.now();
        forEachDifference(current, next, (key, before, after) => {
          vanished.delete(key);
          if (before !== undefined && after === undefined) vanished.set(key, { entry: before, atMs });
        });
        current = next;
        const [head] = vanished.values();
        if (head === undefined) timer.unsubscribe();
        else if (wasEmpty) {
          if (clock.stands()) [timerForMs, timerEndsAtMs] = [atMs, atMs + ms];
          else timerFor(head, ms);
        }
      };

      subscriber.add(() => {
        timer.unsubscribe();
      });
      return source.subscribe({
        next: (known) => {
          latest = known;
          if (standsWhileStale) standOrGo(statusOf(known) === 'stale');
          const next = snapshotIn(known);
          if (next !== undefined) take(next);
          emit();
          // What is emitted later by the timer is not the first state after a resync.
          latest = withResync(known, undefined);
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

function* entriesOf<T>(
  vanished: ReadonlyMap<string, { readonly entry: SnapshotEntry<T> }>,
): Generator<readonly [string, SnapshotEntry<T>], undefined> {
  for (const [key, { entry }] of vanished) yield [key, entry];
}

/** The scheduler's clock without the time for which it was made to stand. */
function standableClock(scheduler: SchedulerLike): { now(): number; stands(): boolean; stand(): void; go(): void } {
  let stoodMs = 0;
  let standsSinceMs: number | undefined;
  return {
    now: () => (standsSinceMs ?? scheduler.now()) - stoodMs,
    stands: () => standsSinceMs !== undefined,
    stand: () => (standsSinceMs = scheduler.now()),
    go: () => {
      stoodMs += scheduler.now() - (standsSinceMs as number);
      standsSinceMs = undefined;
    },
  };
}
