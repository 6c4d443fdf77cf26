import type { WireEvent } from '../etcd/member.ts';
import type { PrefixState } from './prefix-state.ts';
import type { RangeContents } from './range-contents.ts';

/** A state of a range, and where events led to it what they were. */
export interface RangeUpdate<T> {
  readonly state: PrefixState<T>;
  readonly applied?: AppliedEvents<T>;
}

/** Events as they were applied: all of them were news. */
export interface AppliedEvents<T> {
  readonly before: RangeContents<T>;
  readonly after: RangeContents<T>;
  readonly events: readonly WireEvent[];
}
