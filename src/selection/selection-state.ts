import { defer, map, type OperatorFunction } from 'rxjs';
import { Snapshot } from '../discovery/snapshot.ts';
import { type DifferenceVisitor, forEachDifference, membershipOf } from './membership.ts';
import type { CallOutcome, LearningSelector, Selector } from './selector.ts';

/** What a selector remembers from pick to pick, and how it chooses. One for each subscription. */
export interface SelectionState<T> extends DifferenceVisitor<T> {
  /** The key of a host that is there and not to be avoided, `undefined` when there is none. */
  choose(affinity: string | undefined, avoid: ((key: string) => boolean) | undefined): string | undefined;
  readonly started?: (key: string) => (outcome: CallOutcome) => void;
}

export interface LearningState<T> extends SelectionState<T> {
  readonly started: (key: string) => (outcome: CallOutcome) => void;
}

/** The operator whose selectors share a state, which is told of differences only. */
export function selectBy<T>(
  newState: () => LearningState<T>,
): OperatorFunction<ReadonlyMap<string, T>, LearningSelector<T>>;
export function selectBy<T>(newState: () => SelectionState<T>): OperatorFunction<ReadonlyMap<string, T>, Selector<T>>;
export function selectBy<T>(newState: () => SelectionState<T>): OperatorFunction<ReadonlyMap<string, T>, Selector<T>> {
  return (source) =>
    defer(() => {
      const follower = new Follower(newState());
      return source.pipe(map((hosts) => new FollowingSelector(membershipOf(hosts), follower)));
    });
}

/**
 * Keeps a state at the membership of the selector that is asked. Following at the pick, not at the change, lets a burst
 * of changes cost once, and an old selector choose from its own hosts.
 */
class Follower<T> {
  readonly state: SelectionState<T>;
  #hosts = Snapshot.of<T>([]);

  constructor(state: SelectionState<T>) {
    this.state = state;
  }

  at(hosts: Snapshot<T>): SelectionState<T> {
    if (this.#hosts !== hosts) {
      forEachDifference(this.#hosts, hosts, this.state);
      this.#hosts = hosts;
    }
    return this.state;
  }
}

class FollowingSelector<T> implements Selector<T> {
  readonly hosts: Snapshot<T>;
  readonly started?: (key: string) => (outcome: CallOutcome) => void;
  readonly #follower: Follower<T>;

  constructor(hosts: Snapshot<T>, follower: Follower<T>) {
    this.hosts = hosts;
    this.#follower = follower;
    if (follower.state.started !== undefined) {
      this.started = (key) => (follower.at(hosts) as LearningState<T>).started(key);
    }
  }

  pick(affinity?: string): T | undefined {
    return this.pickEntry(affinity)?.[1];
  }

  pickEntry(affinity?: string, avoid?: (key: string) => boolean): readonly [string, T] | undefined {
    const key = this.#follower.at(this.hosts).choose(affinity, avoid);
    return key === undefined ? undefined : [key, this.hosts.get(key) as T];
  }
}
