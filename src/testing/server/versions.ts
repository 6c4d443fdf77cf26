import { invalidArgument } from '../../errors.ts';

/** A line of etcd releases whose behaviour can be emulated. */
export type EtcdVersion = '3.4' | '3.5' | '3.6' | '3.7';

/** What differs between the releases of etcd, as far as a client can see it. */
export interface Behavior {
  /** As `Status` tells it. */
  readonly version: string;
  /** A compaction forgets the deletions of the very revision it is at. */
  readonly losesDeletionAtCompaction: boolean;
  /** A bad sort order or target is refused. */
  readonly checksSort: boolean;
  /** An empty `range_end` that is present means the one key, and not all keys from there. */
  readonly takesEmptyEndForNone: boolean;
  /** `keys_only` answers say lease 0, unless sorted by value. */
  readonly keysWithoutLease: boolean;
  /** A watch from a revision below 0 is created and canceled. */
  readonly refusesNegativeStart: boolean;
  /** A progress request is answered only when all watchers of the stream have caught up. */
  readonly progressWaitsForAll: boolean;
  /** With each renewal, the token and the right to write all keys of the lease are checked. */
  readonly checksRenewals: boolean;
  /** A grant or a member list without a token is refused when auth is on. */
  readonly checksGrants: boolean;
  /** `LeaseTimeToLive` of a lease needs the right to read its keys. */
  readonly checksTimeToLive: boolean;
  /** A put under a lease needs the right to write all its keys. */
  readonly checksLeaseOfPut: boolean;
  /** "rpc not supported for learner" is FAILED_PRECONDITION instead of UNAVAILABLE. */
  readonly learnerIsPrecondition: boolean;
}

const V3_4: Behavior = {
  version: '3.4.23',
  losesDeletionAtCompaction: true,
  checksSort: false,
  takesEmptyEndForNone: false,
  keysWithoutLease: false,
  refusesNegativeStart: false,
  progressWaitsForAll: false,
  checksRenewals: false,
  checksGrants: false,
  checksTimeToLive: false,
  checksLeaseOfPut: false,
  learnerIsPrecondition: false,
};
const V3_5: Behavior = {
  ...V3_4,
  version: '3.5.30',
  losesDeletionAtCompaction: false,
  refusesNegativeStart: true,
  progressWaitsForAll: true,
  checksRenewals: true,
  checksGrants: true,
  checksTimeToLive: true,
  checksLeaseOfPut: true,
};
const V3_6: Behavior = { ...V3_5, version: '3.6.14', checksSort: true, learnerIsPrecondition: true };
const V3_7: Behavior = { ...V3_6, version: '3.7.1', takesEmptyEndForNone: true, keysWithoutLease: true };

const BEHAVIORS: Readonly<Record<EtcdVersion, Behavior>> = { '3.4': V3_4, '3.5': V3_5, '3.6': V3_6, '3.7': V3_7 };

/** The behaviour of a release line, or a thrown `invalid-argument`. */
export function behaviorOf(version: EtcdVersion): Behavior {
  if (!Object.hasOwn(BEHAVIORS, version)) throw invalidArgument('emulate', "'3.4', '3.5', '3.6' or '3.7'", version);
  return BEHAVIORS[version];
}
