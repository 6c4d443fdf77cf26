import { passingError, type PassingError } from '../errors.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { GrantedLease, Renewal } from '../etcd/member.ts';
import type { LeaseState } from './lease-state.ts';
import type { HeldLease, Turn } from './machine.ts';

/** etcd grants more than was asked when its minimum is higher: a minute or so at most. More than this is a mistake. */
const LONGEST_UNASKED_TTL_SECONDS = 3600;

/** What the steps of a lease tell those of its keys. */
export interface KeySteps {
  readonly begin: <S>(turn: Turn<S>) => void;
  /** What is known of the keys was known of another member, or of another lease. */
  readonly reset: <S>(turn: Turn<S>) => void;
}

/** Asks for the lease, or renews the one there is at the member that is there now. */
export function attemptLease<S>(turn: Turn<S>): void {
  const { state, effects } = turn;
  if (state.lease?.renewedAtMs !== undefined) {
    renew(turn, state.lease, undefined);
    return;
  }
  state.leaseState = granting(turn);
  state.activity = 'queued';
  if (state.hasPlace) askForLease(turn);
  else effects.push({ type: 'enter' });
}

export function askForLease<S>({ state, effects }: Turn<S>): void {
  const { lease } = state;
  if (lease === undefined) {
    effects.push({ type: 'draw-lease-id' });
    return;
  }
  state.activity = 'granting';
  state.lease = { ...lease, wasAsked: true };
  effects.push({ type: 'grant', leaseId: lease.id, isFirst: !lease.wasAsked });
}

export function leaseIdDrawn<S>(turn: Turn<S>, id: string): void {
  const { state } = turn;
  if (state.activity !== 'queued') return;
  const { ttlSeconds } = state.config;
  state.lease = { id, ttlSeconds, renewedAtMs: undefined, lateMs: 0, wasAsked: false };
  askForLease(turn);
}

export function granted<S>(
  turn: Turn<S>,
  askedId: string,
  answer: GrantedLease,
  sentAtMs: number,
  keys: KeySteps,
): void {
  const { state } = turn;
  const { lease } = state;
  if (lease?.id !== askedId) return;
  const flaw = grantFlaw(turn, askedId, answer);
  if (flaw === undefined) {
    const renewedAtMs = Math.max(sentAtMs, lease.renewedAtMs ?? -Infinity);
    state.lease = { ...lease, ttlSeconds: answer.ttlSeconds, renewedAtMs };
    // A late answer to an earlier grant says that the lease exists; a later one is under way all the same.
    if (state.activity === 'granting') keepLease(turn, keys);
  } else if (state.activity === 'granting') {
    leaseFault(turn, wrongAnswer(`etcd answered a grant with ${flaw}`), keys);
  }
}

export function grantFailed<S>(turn: Turn<S>, fault: unknown, isFirst: boolean, keys: KeySteps): void {
  const { state } = turn;
  if (state.activity !== 'granting') return;
  if (fault instanceof EtcdFault && fault.kind === 'lease-exists') {
    // An earlier grant came through, and its answer did not. The first renewal tells the rest.
    if (!isFirst) {
      keepLease(turn, keys);
      return;
    }
    // Not ours: another source of randomness is like this one. Left alone, and another id is drawn.
    state.lease = undefined;
  }
  leaseFault(turn, fault, keys);
}

export function renewed<S>(turn: Turn<S>, { ttlSeconds, sentAtMs, lateMs }: Renewal, keys: KeySteps): void {
  const { state, at } = turn;
  const { lease } = state;
  if (state.activity !== 'renewing' || lease === undefined) return;
  if (!isPlausibleTtl(turn, ttlSeconds)) {
    leaseFault(turn, wrongAnswer(`etcd answered a renewal with a TTL of ${ttlSeconds} s`), keys);
    return;
  }
  // In the future: the clock was set back since.
  const isInFuture = (lease.renewedAtMs ?? 0) > at.nowMs;
  const renewedAtMs = isInFuture ? sentAtMs : Math.max(lease.renewedAtMs ?? 0, sentAtMs);
  state.lease = { ...lease, ttlSeconds, renewedAtMs, lateMs: lateMs >= (ttlSeconds * 1000) / 6 ? lateMs : 0 };
  believe(turn, renewedAtMs, keys);
}

/** The lease cannot be had or renewed: whatever was done about it has ended, and is tried again after a while. */
export function leaseFault<S>(turn: Turn<S>, fault: unknown, keys: KeySteps): void {
  const { state, effects } = turn;
  endLeaseActivity(turn);
  // A bug, not an etcd fault: retrying would hide it.
  const fatal = fault instanceof EtcdFault ? fatalError(fault) : fault;
  if (fatal !== undefined) {
    failWith(turn, fatal);
    return;
  }
  const { kind, passing: cause } = fault as EtcdFault;
  if (kind === 'lease-gone' && state.lease !== undefined) {
    // A new id: the old one may still be the target of a revoke by somebody else.
    state.leaseState = { status: 'lost', leaseId: state.lease.id, cause };
    state.formerLease = state.lease.id;
    state.lease = undefined;
    state.suspendedSinceMs = undefined;
    state.failures = 0;
    state.cause = cause;
    keys.reset(turn);
  } else {
    leaseFailed(turn, cause);
  }
  if (state.member === undefined) return;
  state.activity = 'pausing';
  effects.push({ type: 'backoff', name: 'lease-retry', failures: Math.max(1, state.failures) });
}

/** One failure more: without a lease it is still being asked for, with one it may still live. */
export function leaseFailed<S>(turn: Turn<S>, cause: PassingError): void {
  const { state } = turn;
  state.failures += 1;
  state.cause = cause;
  state.leaseState = state.lease?.renewedAtMs === undefined ? granting(turn) : suspended(turn, state.lease, cause);
}

/** There is reason to suspect that the lease is gone. */
export function renewNow<S>(turn: Turn<S>): void {
  const { state } = turn;
  if (state.activity === 'renewing' && state.lease !== undefined) renew(turn, state.lease, undefined);
}

export function expiryTimerFired<S>(turn: Turn<S>): void {
  const { state, at } = turn;
  state.expiryTimerAtMs = undefined;
  if (state.activity !== 'renewing' || state.lease === undefined) return;
  if (state.suspectAtMs > at.steadyMs) {
    armExpiry(turn);
    return;
  }
  const cause = passingError('timeout', `no renewal of lease ${state.lease.id} was answered for two thirds of its TTL`);
  state.leaseState = suspended(turn, state.lease, cause);
}

export function endLeaseActivity<S>(turn: Turn<S>): void {
  const { state, effects } = turn;
  if (state.activity === 'pausing') effects.push({ type: 'end-timer', name: 'lease-retry' });
  if (state.activity === 'renewing') effects.push({ type: 'end-renewals' });
  if (state.activity === 'queued' || state.hasPlace) givePlaceBack(turn);
  if (state.expiryTimerAtMs !== undefined) effects.push({ type: 'end-timer', name: 'expiry' });
  state.expiryTimerAtMs = undefined;
  state.activity = 'idle';
}

export function givePlaceBack<S>({ state, effects }: Turn<S>): void {
  state.hasPlace = false;
  effects.push({ type: 'give-place-back' });
}

export function failWith<S>({ state, effects }: Turn<S>, error: unknown): void {
  state.phase = 'failed';
  effects.push({ type: 'fail', error });
}

function keepLease<S>(turn: Turn<S>, keys: KeySteps): void {
  const { state } = turn;
  const lease = state.lease as HeldLease;
  state.activity = 'renewing';
  if (lease.renewedAtMs !== undefined) believe(turn, lease.renewedAtMs, keys);
  renew(turn, lease, lease.renewedAtMs);
}

function renew<S>({ state, effects }: Turn<S>, { id, ttlSeconds }: HeldLease, grantedAtMs: number | undefined): void {
  state.activity = 'renewing';
  effects.push({ type: 'renew', leaseId: id, ttlSeconds, grantedAtMs });
}

/** Believes in the lease until two thirds of the TTL are over: then a renewal is overdue by a third of it. */
function believe<S>(turn: Turn<S>, renewedAtMs: number, keys: KeySteps): void {
  const { state, at } = turn;
  const lease = state.lease as HeldLease;
  // Not in the future: the clock was set back since.
  const agoMs = Math.max(0, at.nowMs - renewedAtMs);
  const suspectInMs = (lease.ttlSeconds * 2000) / 3 - agoMs;
  state.suspectAtMs = at.steadyMs + suspectInMs;
  // A timer that fires too early is armed again then: cheaper than at each renewal.
  if (state.expiryTimerAtMs === undefined || state.expiryTimerAtMs > state.suspectAtMs) armExpiry(turn);
  if (suspectInMs <= 0) return;
  state.suspendedSinceMs = undefined;
  state.failures = 0;
  state.cause = undefined;
  const { id, ttlSeconds, lateMs } = lease;
  state.leaseState = { status: 'granted', leaseId: id, ttlSeconds, renewalLateMs: lateMs };
  keys.begin(turn);
}

function armExpiry<S>({ state, effects, at }: Turn<S>): void {
  state.expiryTimerAtMs = state.suspectAtMs;
  effects.push({ type: 'timer', name: 'expiry', delayMs: Math.max(0, state.suspectAtMs - at.steadyMs) });
}

function granting<S>({ state }: Turn<S>): LeaseState {
  return { status: 'granting', attempt: state.failures, ...(state.cause && { cause: state.cause }) };
}

function suspended<S>({ state, at }: Turn<S>, lease: HeldLease, cause: PassingError): LeaseState {
  const { id, ttlSeconds, renewedAtMs = 0 } = lease;
  state.suspendedSinceMs ??= at.nowMs;
  const expiresAtMs = renewedAtMs + ttlSeconds * 1000;
  return { status: 'suspended', leaseId: id, ttlSeconds, sinceMs: state.suspendedSinceMs, expiresAtMs, cause };
}

function grantFlaw<S>(turn: Turn<S>, askedId: string, { leaseId, ttlSeconds }: GrantedLease): string | undefined {
  if (leaseId !== askedId) return `lease ${leaseId} in place of ${askedId}`;
  return isPlausibleTtl(turn, ttlSeconds) ? undefined : `a TTL of ${ttlSeconds} s`;
}

function isPlausibleTtl<S>({ state }: Turn<S>, ttlSeconds: number): boolean {
  return ttlSeconds >= 1 && ttlSeconds <= Math.max(state.config.ttlSeconds, LONGEST_UNASKED_TTL_SECONDS);
}

/** Of this request alone: it is asked again. */
export function wrongAnswer(message: string): EtcdFault {
  return new EtcdFault('busy', message, { code: 'invalid-answer' });
}
