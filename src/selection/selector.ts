/**
 * Chooses a host from one membership.
 *
 * A selector's membership never changes: the operators of this library give a new selector for every map they receive,
 * and what they remember (a rotation's place, calls in flight, latencies) is carried from one to the next. A selector
 * that was replaced goes on choosing from the hosts it was made with.
 *
 * Choosing is synchronous, and throws only what a function given by its user throws. Hosts are named by their keys,
 * because a key stays when a host's value changes.
 */
export interface Selector<T> {
  /** The hosts to choose from. Not to be changed. */
  readonly hosts: ReadonlyMap<string, T>;

  /**
   * A host, or `undefined` when there is none.
   *
   * @param affinity - what the choice should stick to (a user, a shard, a session), for the selectors that use it; the
   *   others ignore it
   */
  pick(affinity?: string): T | undefined;

  /**
   * A host with its key, or `undefined` when there is none.
   *
   * @param affinity - as for {@link Selector.pick}
   * @param avoid - says of a key that its host shall not be chosen; when it says so of every host, there is none
   */
  pickEntry(affinity?: string, avoid?: (key: string) => boolean): readonly [key: string, host: T] | undefined;

  /**
   * Tells the selector that a call to a host begins, for the selectors that learn from calls; `balance()` does it for
   * every call.
   *
   * @returns a function to be called once, when that call has ended
   */
  readonly started?: (key: string) => (outcome: CallOutcome) => void;
}

/** A {@link Selector} that learns from calls: it must be told of them. */
export interface LearningSelector<T> extends Selector<T> {
  readonly started: (key: string) => (outcome: CallOutcome) => void;
}

/** How a call went: answered, failed, or given up by its caller before either. */
export interface CallOutcome {
  readonly result: 'answered' | 'failed' | 'abandoned';
  /** The time until the first answer; until the failure or the giving up when there was none. */
  readonly latencyMs: number;
  /** The error of a failed call. */
  readonly error?: unknown;
}
