import {
  Observable,
  Subscription,
  asyncScheduler,
  throwError,
  type MonoTypeOperatorFunction,
  type SchedulerLike,
} from 'rxjs';
import { functionArgument, optionsArgument, schedulerArgument } from '../arguments.ts';
import type { Codec } from '../codecs/codec.ts';
import { codecOption } from '../codecs/codec-option.ts';
import type { PrefixState } from '../discovery/prefix-state.ts';
import type { Snapshot } from '../discovery/snapshot.ts';
import { invalidArgument, passingError, reasonOf } from '../errors.ts';
import { forward } from '../observers.ts';
import { durationMs } from '../time/durations.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import { stateOnly } from './state-or-snapshot.ts';
import { readStored, writeStored, type StoredSnapshot } from './stored-snapshot.ts';

/** How {@link remember} writes and reads what it keeps. */
export interface RememberOptions<T> {
  /** How values are written and read: the codec of the watch. Default: `text()`. */
  readonly codec?: Codec<T>;
  /** The shortest time between two saves, in milliseconds. Default: 1000. */
  readonly saveEveryMs?: number;
  /**
   * Told of a store that failed, of stored text that cannot be read, and of values that the codec cannot write. What it
   * throws is reported as unhandled. Default: nobody is told.
   */
  readonly onStoreError?: (error: Error) => void;
  /** The clock and timers; the same as the source's. Default: RxJS's `asyncScheduler`. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Starts from the last known snapshot, until etcd has answered: a process that starts while etcd is away
 * still knows where its services were.
 *
 * ```text
 * store              {a}
 * source             pending-----pending(1)-----live(b)----|
 * remember(store)    pending-stale(a)--stale(a)-live(b)----|
 * ```
 *
 * While the source is `pending` the stored snapshot is shown as `stale`, since it was saved, with the
 * source's `attempt` (0 while its first attempt runs) and `cause`. From the first live or stale state of the
 * source on, everything passes as it is. Snapshots of live states are saved: the first at once, then the
 * latest at most every `saveEveryMs`, one save at a time. What was not saved when the subscription ends is
 * not saved.
 *
 * The store never holds the stream up or ends it: an error of it goes to `onStoreError`. A value that the codec can
 * read and not write is left out of what is saved, and named there; the others are saved. Takes states,
 * because a snapshot alone cannot be marked stale, and gives states; bound the age of what is remembered
 * with `withinStaleness` after it. Errors and completion of the source pass.
 *
 * Cold; each subscription loads for itself. Throws `invalid-argument` for a `saveEveryMs` that is no
 * duration.
 *
 * @example
 * ```ts
 * import { Etcd3 } from 'etcd3';
 * import { fileStore, remember, snapshots, watchPrefixState$ } from 'rx-etcd';
 *
 * const etcd = new Etcd3({ hosts: ['http://127.0.0.1:2379'] });
 * watchPrefixState$(etcd, '/services/user/')
 *   .pipe(remember(fileStore('users.json')), snapshots())
 *   .subscribe((hosts) => console.log([...hosts]));
 * ```
 */
export function remember<T = string>(
  store: SnapshotStore,
  options?: RememberOptions<T>,
): MonoTypeOperatorFunction<PrefixState<T>> {
  const given = optionsArgument<RememberOptions<T>>('options', options, {
    codec: true,
    saveEveryMs: true,
    onStoreError: true,
    scheduler: true,
  });
  const { saveEveryMs = 1000, onStoreError = () => undefined, scheduler = asyncScheduler } = given;
  const codec = codecOption(given.codec, 'encode', 'decode');
  durationMs('options.saveEveryMs', saveEveryMs);
  functionArgument('options.onStoreError', onStoreError);
  schedulerArgument('options.scheduler', scheduler);
  if (!isStore(store)) throw invalidArgument('store', 'a store with load() and save()', store);

  return (source) =>
    new Observable<PrefixState<T>>((subscriber) => {
      let pending: Pending | undefined = { status: 'pending', attempt: 0, listed: 0 };
      let stored: StoredSnapshot<T> | undefined;
      const report =
        (what: string) =>
        (cause: unknown): void => {
          try {
            onStoreError(new Error(`${what}: ${reasonOf(cause)}`, { cause }));
          } catch (error) {
            // As RxJS does with an observer that throws: the stream goes on.
            throwError(() => error).subscribe();
          }
        };
      const reportUnwritable = newsOnly(report('left out of the saved snapshot'));
      const saver = latestSaver<T>(
        (snapshot) =>
          promiseOf(() => {
            const { text, unwritable } = writeStored({ snapshot, savedAtMs: scheduler.now() }, codec);
            reportUnwritable(unwritable);
            return store.save(text);
          }).catch(report('cannot save the snapshot')),
        saveEveryMs,
        scheduler,
      );

      subscriber.add(saver.subscription);
      promiseOf(() => store.load())
        .then((loaded) => {
          if (loaded !== undefined && !subscriber.closed) stored = readStored(loaded, codec, scheduler.now());
          if (stored !== undefined && pending !== undefined && !subscriber.closed)
            subscriber.next(remembered(pending, stored));
        })
        .catch(report('cannot load the snapshot'));
      forward(source, subscriber, (state) => {
        pending = stateOnly('remember', state).status === 'pending' ? (state as Pending) : undefined;
        subscriber.next(pending !== undefined && stored !== undefined ? remembered(pending, stored) : state);
        if (state.status === 'live') saver.save(state.snapshot);
      });
    });
}

function isStore(store: unknown): boolean {
  const { load, save } = (store ?? {}) as Partial<Readonly<Record<keyof SnapshotStore, unknown>>>;
  return typeof load === 'function' && typeof save === 'function';
}

type Pending = Extract<PrefixState<unknown>, { status: 'pending' }>;

/** Passes an error on when it says something else than the one before: the same one comes with every save. */
function newsOnly(report: (error: Error) => void): (error: Error | undefined) => void {
  let last: string | undefined;
  return (error) => {
    if (error !== undefined && error.message !== last) report(error);
    last = error?.message;
  };
}

function remembered<T>({ attempt, cause }: Pending, { snapshot, savedAtMs }: StoredSnapshot<T>): PrefixState<T> {
  const unanswered = passingError('stale', 'remembered from an earlier time: etcd has not answered yet');
  return { status: 'stale', snapshot, rejected: new Map(), sinceMs: savedAtMs, cause: cause ?? unanswered, attempt };
}

/** Saves the latest of the given snapshots: one at a time, with a pause between two. */
function latestSaver<T>(
  write: (snapshot: Snapshot<T>) => Promise<void>,
  everyMs: number,
  scheduler: SchedulerLike,
): { readonly save: (snapshot: Snapshot<T>) => void; readonly subscription: Subscription } {
  const subscription = new Subscription();
  let waiting: Snapshot<T> | undefined;
  let saved: Snapshot<T> | undefined;
  let busy = false;

  const next = (): void => {
    if (waiting === undefined || busy || subscription.closed) return;
    busy = true;
    const snapshot = waiting;
    [waiting, saved] = [undefined, snapshot];
    const pause = (): void => {
      if (subscription.closed) return;
      subscription.add(
        scheduler.schedule(() => {
          busy = false;
          next();
        }, everyMs),
      );
    };
    void write(snapshot).then(pause, pause);
  };

  return {
    subscription,
    save: (snapshot) => {
      if (snapshot === (waiting ?? saved)) return;
      waiting = snapshot;
      next();
    },
  };
}

/** A function's promise, also when it throws instead. */
async function promiseOf<T>(run: () => Promise<T>): Promise<T> {
  return run();
}
