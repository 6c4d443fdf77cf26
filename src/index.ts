// Discovery: a prefix as snapshots, one key as values, the history as events.
export { watchPrefix$ } from './discovery/watch-prefix.ts';
export { watchPrefixState$ } from './discovery/watch-prefix-state.ts';
export type { WatchPrefixOptions } from './discovery/watch-prefix-options.ts';
export { watchPrefixes$ } from './discovery/watch-prefixes.ts';
export { watchKey$ } from './discovery/watch-key.ts';
export {
  watchEvents$,
  type PrefixEvent,
  type PrefixEvents,
  type WatchEventsOptions,
} from './discovery/watch-events.ts';
export type { PrefixState, RejectedKeys, ResyncReason } from './discovery/prefix-state.ts';
export { Snapshot, type Entry } from './discovery/snapshot.ts';
export { changes, type Change, type ChangesOptions } from './discovery/changes.ts';

// Steadiness: calm between the watch and the selector.
export { snapshots } from './steadiness/snapshots.ts';
export { distinctSnapshots, type DistinctSnapshotsOptions } from './steadiness/distinct-snapshots.ts';
export { holdRemovals, type HoldRemovalsOptions } from './steadiness/hold-removals.ts';
export { protectEmpty, type ProtectEmptyOptions } from './steadiness/protect-empty.ts';
export { settle, type SettleOptions } from './steadiness/settle.ts';
export { withinStaleness, type WithinStalenessOptions } from './steadiness/within-staleness.ts';
export { mergeSources$, type MergeSourcesOptions, type Sourced } from './steadiness/merge-sources.ts';
export { remember, type RememberOptions } from './steadiness/remember.ts';
export type { SnapshotStore } from './steadiness/snapshot-store.ts';
export { fileStore } from './steadiness/file-store.ts';
export type { StateOrSnapshot } from './steadiness/state-or-snapshot.ts';

// Registration: a place in etcd for as long as a subscription lasts.
export { register$, type RegisterOptions, type RegisteredEntries } from './registration/register.ts';
export type { RegistrationState } from './registration/registration-state.ts';
export { lease$ } from './registration/lease.ts';
export type { LeaseOptions } from './registration/arguments.ts';
export type { LeaseState } from './registration/lease-state.ts';
export type { ConflictPolicy } from './registration/reconcile.ts';
export type { Entries, ValueSource } from './registration/desired.ts';

// Selection: snapshots to a selector, a selector to a host.
export type { CallOutcome, LearningSelector, Selector } from './selection/selector.ts';
export { roundRobin, type RoundRobinOptions } from './selection/round-robin.ts';
export { randomHost, type RandomHostOptions } from './selection/random-host.ts';
export { weighted, type WeightedOptions } from './selection/weighted.ts';
export { leastLoaded, type LeastLoadedOptions } from './selection/least-loaded.ts';
export { peakEwma, type PeakEwmaOptions } from './selection/peak-ewma.ts';
export { consistentHash, type ConsistentHashOptions } from './selection/consistent-hash.ts';
export { sticky, type StickyOptions } from './selection/sticky.ts';
export { preferZone, type PreferZoneOptions } from './selection/prefer-zone.ts';

// Layers before a selector: fewer hosts.
export { where, type HostPredicate } from './selection/where.ts';
export { subset, type SubsetOptions } from './selection/subset.ts';

// Behind a selector: hosts that get less of the picks, or none.
export { slowStart, type SlowStartOptions } from './selection/slow-start.ts';
export {
  ejectOutliers,
  type CallReport,
  type EjectingSelector,
  type EjectOutliersOptions,
} from './selection/eject-outliers.ts';

// Calls: an Observable whose every subscription picks a host.
export { balance, type BalanceOptions, type Call, type CallOptions, type Project } from './selection/balance.ts';
export { retryBudget, type RetryBudget, type RetryBudgetOptions } from './selection/retry-budget.ts';
export type { EjectionReason, HostState, OutlierDetectionOptions } from './selection/outlier-detection.ts';
export { perInstance, type PerInstanceOptions } from './selection/per-instance.ts';

// Codecs: bytes to values and back. The formats of other systems are in `rx-etcd/interop`.
export type { Codec } from './codecs/codec.ts';
export { text } from './codecs/text.ts';
export { json } from './codecs/json.ts';
export type { StandardIssue, StandardResult, StandardSchema } from './codecs/standard-schema.ts';

// What all of it shares.
export {
  RxEtcdError,
  type FinalErrorCode,
  type PassingError,
  type PassingErrorCode,
  type RxEtcdErrorCode,
} from './errors.ts';
export type { EtcdClient } from './etcd/etcd3-client.ts';
export type { Credentials } from './etcd/client-settings.ts';
export type { EtcdOptions, EtcdTlsOptions } from './etcd/etcd-options.ts';
