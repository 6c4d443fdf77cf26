import type { PresentValues } from './desired.ts';
import type { Effect, Input, Instant, MachineState, TimerName, Turn } from './machine.ts';
import {
  beginKeys,
  desire,
  drained,
  keyRetryDue,
  resetKeys,
  watchFailed,
  watchRetryDue,
  watched,
  writeFailed,
  written,
} from './step-keys.ts';
import {
  askForLease,
  attemptLease,
  endLeaseActivity,
  expiryTimerFired,
  failWith,
  granted,
  grantFailed,
  leaseFailed,
  leaseFault,
  leaseIdDrawn,
  renewed,
  type KeySteps,
} from './step-lease.ts';

export interface Step<S> {
  readonly state: MachineState<S>;
  readonly effects: readonly Effect<S>[];
}

const KEYS: KeySteps = { begin: beginKeys, reset: resetKeys };

/**
 * The state after an input, and what is to be done about it. Pure: time comes with the input, chance comes as one.
 *
 * An input that does not fit the state changes nothing. What comes from a call, a stream or a timer that was ended
 * must not be given.
 */
export function step<S>(before: MachineState<S>, input: Input, at: Instant): Step<S> {
  if (before.phase === 'ended' || (before.phase === 'failed' && input.type !== 'stop')) {
    return { state: before, effects: [] };
  }
  const turn: Turn<S> = { state: { ...before }, effects: [], at };
  take(turn, input);
  // Stopped, nobody listens any more.
  if (input.type !== 'stop') tell(turn);
  if (turn.state.phase === 'ended' && input.type !== 'stop') turn.effects.push({ type: 'complete' });
  return turn;
}

function take<S>(turn: Turn<S>, input: Input): void {
  const { state, effects } = turn;
  switch (input.type) {
    case 'start':
      if (state.phase !== 'new') return;
      state.phase = 'running';
      effects.push({ type: 'listen' });
      return;
    case 'up':
      endLeaseActivity(turn);
      resetKeys(turn);
      state.member = input.member;
      attemptLease(turn);
      return;
    case 'down':
      endLeaseActivity(turn);
      resetKeys(turn);
      state.member = undefined;
      leaseFailed(turn, input.cause);
      return;
    case 'admitted':
      if (state.activity !== 'queued') return;
      state.hasPlace = true;
      askForLease(turn);
      return;
    case 'lease-id-drawn':
      leaseIdDrawn(turn, input.leaseId);
      return;
    case 'granted':
      granted(turn, input.askedId, input.answer, input.sentAtMs, KEYS);
      return;
    case 'grant-failed':
      if (input.isLatest) grantFailed(turn, input.fault, input.isFirst, KEYS);
      return;
    case 'renewed':
      renewed(turn, input.renewal, KEYS);
      return;
    case 'renewal-failed':
      if (state.activity === 'renewing') leaseFault(turn, input.fault, KEYS);
      return;
    case 'written':
      written(turn, input.answer);
      return;
    case 'write-failed':
      if (state.writing !== undefined) writeFailed(turn, input.fault);
      return;
    case 'watched':
      watched(turn, input.key, input.message);
      return;
    case 'watch-failed':
      if (state.isWatching) watchFailed(turn, input.fault);
      return;
    case 'timer':
      timerFired(turn, input.name);
      return;
    case 'desired':
      if (state.phase === 'new' || state.phase === 'running') desire(turn, input.desired);
      return;
    case 'leave':
      if (state.phase === 'new' || state.phase === 'running') leave(turn, input.marked);
      return;
    case 'revoked':
      if (state.phase !== 'leaving') return;
      state.phase = 'ended';
      state.confirmed = input.confirmed;
      return;
    case 'failed':
      failWith(turn, input.error);
      return;
    case 'stop':
      if (state.phase !== 'leaving') release(turn, false);
      effects.push({ type: 'end-inputs' });
      state.phase = 'ended';
  }
}

function timerFired<S>(turn: Turn<S>, name: TimerName): void {
  const { state } = turn;
  switch (name) {
    case 'expiry':
      expiryTimerFired(turn);
      return;
    case 'lease-retry':
      if (state.activity === 'pausing') attemptLease(turn);
      return;
    case 'key-retry':
      if (state.isPausing) keyRetryDue(turn);
      return;
    case 'watch-retry':
      if (state.isReconciling) watchRetryDue(turn);
      return;
    case 'drain-deadline':
      if (state.phase === 'draining') drained(turn);
      return;
    case 'drain':
      if (state.phase === 'drained') deregister(turn);
  }
}

function leave<S>(turn: Turn<S>, marked: PresentValues<unknown> | undefined): void {
  const { state, effects } = turn;
  const { drainMs, ttlSeconds } = state.config;
  effects.push({ type: 'end-inputs' });
  if (state.phase === 'new' || drainMs === 0) {
    deregister(turn);
    return;
  }
  state.phase = 'draining';
  // Without contact to etcd, the TTL has told clients by then.
  effects.push({ type: 'timer', name: 'drain-deadline', delayMs: ttlSeconds * 1000 });
  desire(turn, marked ?? { status: 'absent' });
}

function deregister<S>(turn: Turn<S>): void {
  const { state } = turn;
  const isAnythingThere = state.lease?.wasAsked === true;
  release(turn, true);
  state.phase = isAnythingThere ? 'leaving' : 'ended';
  state.confirmed = !isAnythingThere;
}

/** Lets go of the lease, and of the keys with it. */
function release<S>(turn: Turn<S>, isReported: boolean): void {
  const { state, effects } = turn;
  // First the revoke, which holds the connection; then the rest.
  if (state.lease?.wasAsked === true) effects.push({ type: 'revoke', lease: state.lease, isReported });
  state.lease = undefined;
  endLeaseActivity(turn);
  resetKeys(turn);
  if (state.phase === 'draining') effects.push({ type: 'end-timer', name: 'drain-deadline' });
  if (state.phase === 'drained') effects.push({ type: 'end-timer', name: 'drain' });
  if (state.phase !== 'new') effects.push({ type: 'unlisten' });
  state.member = undefined;
}

/** Everything there is to tell now: what is left out in between would break the order of the states. */
function tell<S>({ state, effects, at }: Turn<S>): void {
  for (let next = state.config.describe(state, at.nowMs); next !== undefined;) {
    state.told = next;
    effects.push({ type: 'emit', state: next });
    next = state.config.describe(state, at.nowMs);
  }
}
