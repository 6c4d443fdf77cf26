import type { PassingError } from '../errors.ts';
import type { GrantedLease, Member, Renewal, TxnAnswer, TxnRequest, WatchMessage } from '../etcd/member.ts';
import type { Desired, PresentValues } from './desired.ts';
import type { LeaseState } from './lease-state.ts';
import type { ConflictPolicy, RegisteredKey, TrackedKey } from './reconcile.ts';

/** What a machine never changes; `S` is what its user is told. */
export interface MachineConfig<S> {
  readonly ttlSeconds: number;
  readonly onConflict: ConflictPolicy;
  readonly confirm: 'write' | 'watch';
  readonly drainMs: number;
  /** What to tell the user now; `undefined` when there is nothing new. */
  readonly describe: (state: MachineState<S>, nowMs: number) => S | undefined;
}

/** A lease as it is held; etcd knows it only once a grant was answered. */
export interface HeldLease {
  readonly id: string;
  readonly ttlSeconds: number;
  /** When the last answered renewal (or the grant) was sent; `undefined` while no grant was answered. */
  readonly renewedAtMs: number | undefined;
  readonly lateMs: number;
  /** A grant was sent: from then on a lease that exists under this id is ours. */
  readonly wasAsked: boolean;
}

/** Where the keys of a registration stand, on one lease and one member. */
export type KeyState =
  | { readonly status: 'pending'; readonly attempt: number; readonly cause?: PassingError }
  /** `cause`: why a later value could not be written. */
  | {
      readonly status: 'held';
      readonly present: PresentValues<unknown>;
      readonly revision: number;
      readonly cause?: PassingError;
    }
  | { readonly status: 'withdrawn' }
  /** They were held, and somebody else deleted or overwrote one. */
  | { readonly status: 'gone'; readonly cause: PassingError };

/** The whole of what a registration knows. */
export interface MachineState<S> {
  readonly config: MachineConfig<S>;
  /**
   * `draining`: until the keys are removed or marked, `drained`: while clients move away, `leaving`: until the lease is
   * revoked. `failed`: only `stop` is to come.
   */
  readonly phase: 'new' | 'running' | 'draining' | 'drained' | 'leaving' | 'failed' | 'ended';
  /** The one to ask; none while there is no connection. */
  readonly member: Member | undefined;

  /** What is done about the lease. `queued`: waits until fewer others begin. */
  readonly activity: 'idle' | 'queued' | 'granting' | 'renewing' | 'pausing';
  /** Whether others wait until this one has begun. */
  readonly hasPlace: boolean;
  readonly lease: HeldLease | undefined;
  readonly leaseState: LeaseState;
  /** When the lease is no longer believed in, by the steady clock. */
  readonly suspectAtMs: number;
  /** When the timer that looks after it is due; it may be earlier, and is then set again. */
  readonly expiryTimerAtMs: number | undefined;
  readonly failures: number;
  readonly cause: PassingError | undefined;
  readonly suspendedSinceMs: number | undefined;
  readonly formerLease: string | undefined;

  /** `undefined` until the user's streams have told. */
  readonly desired: Desired<unknown> | undefined;
  readonly tracked: readonly TrackedKey[];
  /** Whether keys are looked after: on this member, under this lease. */
  readonly isReconciling: boolean;
  readonly keyState: KeyState | undefined;
  readonly keyFailures: number;
  /** Answers in a row that did not bring the keys nearer to what is desired. */
  readonly rounds: number;
  /** The request under way. */
  readonly writing: { readonly request: TxnRequest; readonly knownRevision: number } | undefined;
  readonly isPausing: boolean;
  readonly isWatching: boolean;
  readonly interferences: number;
  readonly interferedAtMs: number;

  /** Whether etcd confirmed the revoke: known in the end. */
  readonly confirmed: boolean;
  readonly told: S | undefined;
}

/** Everything that can happen to a registration. */
export type Input =
  | { readonly type: 'start' }
  | { readonly type: 'up'; readonly member: Member }
  | { readonly type: 'down'; readonly cause: PassingError }
  /** The place asked for by `enter`. */
  | { readonly type: 'admitted' }
  | { readonly type: 'lease-id-drawn'; readonly leaseId: string }
  /** `isLatest`: no other grant was sent since. */
  | { readonly type: 'granted'; readonly askedId: string; readonly sentAtMs: number; readonly answer: GrantedLease }
  | { readonly type: 'grant-failed'; readonly isLatest: boolean; readonly isFirst: boolean; readonly fault: unknown }
  | { readonly type: 'renewed'; readonly renewal: Renewal }
  | { readonly type: 'renewal-failed'; readonly fault: unknown }
  | { readonly type: 'written'; readonly answer: TxnAnswer }
  | { readonly type: 'write-failed'; readonly fault: unknown }
  | { readonly type: 'watched'; readonly key: RegisteredKey; readonly message: WatchMessage }
  | { readonly type: 'watch-failed'; readonly fault: unknown }
  | { readonly type: 'timer'; readonly name: TimerName }
  | { readonly type: 'desired'; readonly desired: Desired<unknown> }
  /** `marked`: what the keys hold while draining, in place of being removed. */
  | { readonly type: 'leave'; readonly marked: PresentValues<unknown> | undefined }
  | { readonly type: 'revoked'; readonly confirmed: boolean }
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'stop' };

export type TimerName = 'expiry' | 'lease-retry' | 'key-retry' | 'watch-retry' | 'drain' | 'drain-deadline';

/** What is to be done about it, in this order. */
export type Effect<S> =
  /** To be told of the members of the connection: as `up`, `down` and `failed`. */
  | { readonly type: 'listen' | 'unlisten' }
  /** A place among those that may begin at once: answered by `admitted`. Also given back while it is waited for. */
  | { readonly type: 'enter' | 'give-place-back' }
  | { readonly type: 'draw-lease-id' }
  | { readonly type: 'grant'; readonly leaseId: string; readonly isFirst: boolean }
  /** In place of the renewals before. `grantedAtMs`: a grant just answered needs none for a while. */
  | {
      readonly type: 'renew';
      readonly leaseId: string;
      readonly ttlSeconds: number;
      readonly grantedAtMs: number | undefined;
    }
  | { readonly type: 'write'; readonly request: TxnRequest }
  | {
      readonly type: 'watch';
      readonly key: RegisteredKey;
      readonly startRevision: number;
      readonly catchesUp: boolean;
    }
  | { readonly type: 'end-watch'; readonly key: RegisteredKey }
  | { readonly type: 'end-renewals' | 'end-write' | 'end-watches' }
  /** In place of the one of that name. */
  | { readonly type: 'timer'; readonly name: TimerName; readonly delayMs: number }
  /** After a delay with jitter that grows with the failures in a row. */
  | { readonly type: 'backoff'; readonly name: TimerName; readonly failures: number }
  | { readonly type: 'end-timer'; readonly name: TimerName }
  /** No more of what the user desires. */
  | { readonly type: 'end-inputs' }
  /** In the background; `isReported`: answered by `revoked`. */
  | { readonly type: 'revoke'; readonly lease: HeldLease; readonly isReported: boolean }
  | { readonly type: 'emit'; readonly state: S }
  | { readonly type: 'fail'; readonly error: unknown }
  | { readonly type: 'complete' };

export function initialState<S>(config: MachineConfig<S>): MachineState<S> {
  return {
    config,
    phase: 'new',
    member: undefined,
    activity: 'idle',
    hasPlace: false,
    lease: undefined,
    leaseState: { status: 'granting', attempt: 0 },
    suspectAtMs: 0,
    expiryTimerAtMs: undefined,
    failures: 0,
    cause: undefined,
    suspendedSinceMs: undefined,
    formerLease: undefined,
    desired: undefined,
    tracked: [],
    isReconciling: false,
    keyState: undefined,
    keyFailures: 0,
    rounds: 0,
    writing: undefined,
    isPausing: false,
    isWatching: false,
    interferences: 0,
    interferedAtMs: -Infinity,
    confirmed: false,
    told: undefined,
  };
}

/** The time of a step: by the scheduler's clock, and by one that is never set back. */
export interface Instant {
  readonly nowMs: number;
  readonly steadyMs: number;
}

/** A step in the making: a copy of the state to change, and what is to be done. */
export interface Turn<S> {
  readonly state: { -readonly [K in keyof MachineState<S>]: MachineState<S>[K] };
  readonly effects: Effect<S>[];
  readonly at: Instant;
}
