import type { Observable, Subscription } from 'rxjs';
import type { PrefixState } from '../../src/index.ts';
import type { History } from './history.ts';

type Emitted = Exclude<PrefixState<string>, { status: 'pending' }>;

/** Something that watches a prefix, and keeps everything it was told until the oracle judges it. */
export interface OracleWatcher {
  readonly name: string;
  subscribe(): void;
  unsubscribe(): void;
  readonly last: Emitted | undefined;
  readonly prefix: string;
  readonly failure: unknown;
  /** The number of snapshots judged; throws at the first that is wrong. */
  judge(history: History): number;
}

/**
 * @param prefix of whole keys, for the oracle
 * @param restore gives the whole key back for a key of the snapshot (they differ in a namespace)
 */
export function oracleWatcher(
  name: string,
  states$: Observable<PrefixState<string>>,
  prefix: string,
  restore: (key: string) => string = (key) => key,
): OracleWatcher {
  const runs: Emitted[][] = [];
  let subscription: Subscription | undefined;
  let failure: unknown;
  return {
    name,
    prefix,
    get last() {
      return runs.at(-1)?.at(-1);
    },
    get failure() {
      return failure;
    },
    subscribe() {
      const run: Emitted[] = [];
      runs.push(run);
      subscription = states$.subscribe({
        next: (state) => {
          if (state.status === 'pending') {
            if (run.length > 0) failure = new Error(`${name}: pending after it had been known`);
          } else run.push(state);
        },
        error: (error: unknown) => {
          failure = error;
        },
        complete: () => {
          failure = new Error(`${name}: completed`);
        },
      });
    },
    unsubscribe() {
      subscription?.unsubscribe();
    },
    judge(history) {
      return runs.reduce(
        (sum, run, index) => sum + judgeRun(`${name}, subscription ${index}`, run, history, prefix, restore),
        0,
      );
    },
  };
}

function judgeRun(
  name: string,
  run: readonly Emitted[],
  history: History,
  prefix: string,
  restore: (key: string) => string,
): number {
  let era = 0;
  let judged = 0;
  let before: Emitted | undefined;
  for (const state of run) {
    const { snapshot } = state;
    if (snapshot === before?.snapshot) continue;
    const replaced = state.status === 'live' && state.resync === 'history-replaced';
    if (before !== undefined && snapshot.revision <= before.snapshot.revision && !replaced) {
      throw new Error(
        `${name}: revision ${snapshot.revision} after ${before.snapshot.revision}, and no history was replaced`,
      );
    }
    const map = new Map([...snapshot].map(([key, value]) => [restore(key), value]));
    const reasons: string[] = [];
    // A later era is all right too: where two of them agree, a watcher may go on without noticing.
    const first = replaced ? era + 1 : era;
    const found = Array.from({ length: history.era + 1 - first }, (_, index) => first + index).find((candidate) => {
      const reason = history.difference(candidate, snapshot.revision, prefix, map);
      if (reason !== undefined) reasons.push(`era ${candidate}: ${reason}`);
      return reason === undefined;
    });
    if (found === undefined)
      throw new Error(
        `${name}: snapshot ${judged} (${state.status}) is wrong: ` +
          (reasons.join('; ') || 'a replaced history was reported, and there was none'),
      );
    era = found;
    judged += 1;
    before = state;
  }
  return judged;
}
