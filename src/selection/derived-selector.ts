import type { CallOutcome, Selector } from './selector.ts';

/** How a derived selector chooses. */
export type PickEntry<T> = Selector<T>['pickEntry'];

/** A selector that chooses in another way from the hosts of the one it is made from, which still learns from calls. */
export class DerivedSelector<T> implements Selector<T> {
  readonly hosts: ReadonlyMap<string, T>;
  readonly started?: (key: string) => (outcome: CallOutcome) => void;
  readonly pickEntry: PickEntry<T>;

  constructor(selector: Selector<T>, pickEntry: PickEntry<T>) {
    this.hosts = selector.hosts;
    this.pickEntry = pickEntry;
    if (selector.started !== undefined) this.started = (key) => (selector as Required<Selector<T>>).started(key);
  }

  pick(affinity?: string): T | undefined {
    return this.pickEntry(affinity)?.[1];
  }
}
