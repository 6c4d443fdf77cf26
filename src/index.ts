// Discovery: a prefix as snapshots, and their differences.
export { watchPrefix$ } from './discovery/watch-prefix.ts';
export { watchPrefixState$, type WatchPrefixOptions } from './discovery/watch-prefix-state.ts';
export { watchKey$ } from './discovery/watch-key.ts';
export type { PrefixState, RejectedKeys, ResyncReason } from './discovery/prefix-state.ts';
export { Snapshot } from './discovery/snapshot.ts';
export { changes, type Change, type ChangesOptions } from './discovery/changes.ts';

// Registration: a place in etcd for as long as a subscription lasts.
export { register$, type RegisterOptions } from './registration/register.ts';
export type { RegistrationState } from './registration/registration-state.ts';

// Selection: snapshots to a selector, a selector to a host.
export type { Selector } from './selection/selector.ts';
export { roundRobin, type RoundRobinOptions } from './selection/round-robin.ts';

// Codecs: bytes to values and back.
export type { Codec } from './codecs/codec.ts';
export { text } from './codecs/text.ts';

// What all of it shares.
export { RxEtcdError, type RxEtcdErrorCode } from './errors.ts';
export type { EtcdClient } from './etcd/etcd3-client.ts';
