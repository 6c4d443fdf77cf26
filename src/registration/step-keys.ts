import { passingError, quoted, type PassingError } from '../errors.ts';
import { EtcdFault, fatalError } from '../etcd/faults.ts';
import type { TxnAnswer, TxnRequest, WatchMessage } from '../etcd/member.ts';
import { type Desired } from './desired.ts';
import type { Turn } from './machine.ts';
import {
  answerFlaw,
  interference,
  observedAfter,
  observedByWatch,
  reconcile,
  type ReconcileInput,
  type RegisteredKey,
  type TrackedKey,
} from './reconcile.ts';
import { failWith, givePlaceBack, renewNow, wrongAnswer } from './step-lease.ts';

/** A manual write without a lease is undone this often, then left alone. */
const MAX_REPAIRS = 5;

/** After this long without interference, repairs are counted from the start again. */
const QUIET_MS = 60_000;

/** Comparisons may fail this often in a row, as others write; then there is a pause before each write. */
const QUICK_ROUNDS = 3;

/** The lease lives: from now on its keys are kept as they are desired. Nothing happens if they are already. */
export function beginKeys<S>(turn: Turn<S>): void {
  if (turn.state.isReconciling) return;
  turn.state.isReconciling = true;
  reconcileKeys(turn);
}

/** What was known of the keys is not known of the next member, or lease. */
export function resetKeys<S>(turn: Turn<S>): void {
  const { state, effects } = turn;
  if (!state.isReconciling) return;
  if (state.writing !== undefined) effects.push({ type: 'end-write' });
  if (state.isPausing) effects.push({ type: 'end-timer', name: 'key-retry' });
  endWatches(turn);
  effects.push({ type: 'end-timer', name: 'watch-retry' });
  state.isReconciling = false;
  state.keyState = undefined;
  state.keyFailures = 0;
  state.rounds = 0;
  state.writing = undefined;
  state.isPausing = false;
  state.tracked = state.tracked.map((each) => ({ ...each, observed: undefined, lastWritten: undefined }));
}

/** The keys are to be like this from now on. */
export function desire<S>(turn: Turn<S>, desired: Desired<unknown>): void {
  const { state } = turn;
  state.desired = desired;
  state.tracked = track(state.tracked, desired);
  reconcileKeys(turn);
}

export function written<S>(turn: Turn<S>, answer: TxnAnswer): void {
  const { state, effects } = turn;
  const { writing } = state;
  if (writing === undefined) return;
  const { request, knownRevision } = writing;
  const flaw = answerFlaw(request, answer, knownRevision);
  if (flaw !== undefined) {
    // Nothing is claimed, and nothing that was known before is relied on.
    state.tracked = state.tracked.map((each) => ({ ...each, observed: undefined }));
    writeFailed(turn, wrongAnswer(`etcd answered a transaction with ${flaw}`));
    return;
  }
  state.writing = undefined;
  state.tracked = observedAfter(state.tracked, request, answer);
  const wrote = answer.succeeded && request.then.some(({ type }) => type !== 'get');
  state.rounds = wrote ? 0 : state.rounds + 1;
  // From the write itself on, so that the watch tells of it.
  const startRevision = wrote ? answer.revision : answer.revision + 1;
  state.tracked = state.tracked.map((each) => {
    if (each.watchedFrom !== undefined || each.observed === undefined) return each;
    effects.push({ type: 'watch', key: each.key, startRevision, catchesUp: wrote });
    return { ...each, watchedFrom: startRevision };
  });
  state.isWatching = true;
  reconcileKeys(turn);
}

export function writeFailed<S>(turn: Turn<S>, fault: unknown): void {
  const { state } = turn;
  state.writing = undefined;
  if (keysFailed(turn, fault)) pause(turn, state.keyFailures);
}

export function watched<S>(turn: Turn<S>, key: RegisteredKey, message: WatchMessage): void {
  const { state } = turn;
  const index = state.tracked.findIndex((each) => each.key === key);
  const tracked = state.tracked[index];
  if (tracked?.observed === undefined || tracked.watchedFrom === undefined) return;
  const observed = observedByWatch(tracked.observed, message, tracked.watchedFrom);
  if (observed === tracked.observed) return;
  state.tracked = state.tracked.with(index, { ...tracked, observed });
  reconcileKeys(turn);
}

/** None of the watches goes on without the others: what is known must be known of all keys. */
export function watchFailed<S>(turn: Turn<S>, fault: unknown): void {
  const { state, effects } = turn;
  endWatches(turn);
  if (keysFailed(turn, fault)) {
    effects.push({ type: 'backoff', name: 'watch-retry', failures: Math.max(1, state.keyFailures) });
  }
}

export function keyRetryDue<S>(turn: Turn<S>): void {
  const { state } = turn;
  state.isPausing = false;
  forgetUnwatched(turn);
  reconcileKeys(turn, true);
}

export function watchRetryDue<S>(turn: Turn<S>): void {
  // A request under way will tell, and watch from there; after a pause it is read again anyway.
  if (turn.state.writing !== undefined || turn.state.isPausing) return;
  forgetUnwatched(turn);
  reconcileKeys(turn);
}

/** One thing at a time: nothing else is asked for before this was answered, and the answer looked at. */
function reconcileKeys<S>(turn: Turn<S>, hasPaused: boolean = false): void {
  const { state } = turn;
  if (!state.isReconciling || state.writing !== undefined || state.isPausing) return;
  if (state.desired === undefined) {
    if (state.hasPlace) givePlaceBack(turn);
    return;
  }
  const input = reconcileInput(turn);
  const disturbed = interference(input);
  if (disturbed !== undefined) {
    interfered(turn, passingError('key-conflict', disturbed));
    return;
  }
  const plan = reconcile(input);
  switch (plan.type) {
    case 'write':
      if (state.keyState?.status === 'gone') state.keyState = { status: 'pending', attempt: 0 };
      if (state.rounds >= QUICK_ROUNDS && !hasPaused) pause(turn, state.rounds - QUICK_ROUNDS + 1);
      else write(turn, plan.request);
      return;
    case 'conflict':
      conflict(turn, plan.key, plan.lease);
      break;
    case 'in-sync':
      inSync(turn, state.desired);
  }
  if (state.hasPlace) givePlaceBack(turn);
}

function reconcileInput<S>({ state }: Turn<S>): ReconcileInput {
  const { tracked, lease, formerLease, config, interferences } = state;
  return {
    tracked,
    leaseId: lease?.id ?? '',
    formerLease,
    onConflict: config.onConflict,
    mayRepair: interferences <= MAX_REPAIRS,
  };
}

function write<S>({ state, effects }: Turn<S>, request: TxnRequest): void {
  const knownRevision = state.tracked.reduce((highest, { observed }) => Math.max(highest, observed?.asOf ?? 0), 0);
  state.writing = { request, knownRevision };
  effects.push({ type: 'write', request });
}

function inSync<S>(turn: Turn<S>, desired: Desired<unknown>): void {
  const { state, effects } = turn;
  state.rounds = 0;
  state.keyFailures = 0;
  const isPresent = desired.status === 'present' && desired.keys.length > 0;
  const wanted = state.tracked.filter((each) => each.desired !== undefined);
  if (isPresent && state.config.confirm === 'watch' && !wanted.every(({ observed }) => observed?.watched)) return;
  // A key that left the set is ours no more; a set that is withdrawn as a whole may come back.
  const kept = desired.status === 'present' ? wanted : state.tracked;
  for (const { key, desired: value, watchedFrom } of state.tracked) {
    if (kept !== state.tracked && value === undefined && watchedFrom !== undefined) {
      effects.push({ type: 'end-watch', key });
    }
  }
  state.tracked = kept.map((each) => ({ ...each, lastWritten: each.desired, wasOurs: each.desired !== undefined }));
  if (!isPresent) state.keyState = { status: 'withdrawn' };
  else {
    const revision = wanted.reduce((latest, { observed }) => Math.max(latest, observed?.entry?.modRevision ?? 0), 0);
    state.keyState = { status: 'held', present: desired, revision };
  }
  if (state.phase === 'draining') drained(turn);
}

/** Clients can see it: they have `drainMs` to move away. */
export function drained<S>({ state, effects }: Turn<S>): void {
  state.phase = 'drained';
  effects.push({ type: 'end-timer', name: 'drain-deadline' });
  effects.push({ type: 'timer', name: 'drain', delayMs: state.config.drainMs });
}

function conflict<S>(turn: Turn<S>, key: string, lease: string): void {
  const { state } = turn;
  state.rounds = 0;
  const owner = lease === '0' ? 'somebody without a lease' : `the owner of lease ${lease}`;
  const cause = passingError('key-conflict', `key ${quoted(key)} is held by ${owner}`);
  if (state.config.onConflict === 'fail') failWith(turn, cause);
  else state.keyState = { status: 'pending', attempt: 0, cause };
}

function interfered<S>(turn: Turn<S>, cause: PassingError): void {
  const { state, at } = turn;
  state.interferences = at.nowMs - state.interferedAtMs > QUIET_MS ? 1 : state.interferences + 1;
  state.interferedAtMs = at.nowMs;
  state.rounds = 0;
  state.tracked = state.tracked.map((each) => ({ ...each, lastWritten: undefined }));
  state.keyState = { status: 'gone', cause };
  // A lease that is revoked takes its keys along: then there is nothing to repair here.
  renewNow(turn);
  pause(turn, state.interferences);
}

/** Whether it can be tried again. */
function keysFailed<S>(turn: Turn<S>, fault: unknown): boolean {
  const { state } = turn;
  // A bug, not an etcd fault: retrying would hide it.
  const fatal = fault instanceof EtcdFault ? fatalError(fault) : fault;
  if (fatal !== undefined) {
    failWith(turn, fatal);
    return false;
  }
  const { kind, passing: cause } = fault as EtcdFault;
  state.keyFailures += 1;
  if (state.keyState?.status !== 'held') {
    state.keyState = { status: 'pending', attempt: state.keyFailures, cause };
  } else if (state.keyState.present !== state.desired) {
    // The value before is still there, and the latest is not.
    state.keyState = { ...state.keyState, cause };
  }
  if (kind === 'lease-gone') renewNow(turn);
  if (state.hasPlace) givePlaceBack(turn);
  return true;
}

function pause<S>({ state, effects }: Turn<S>, failures: number): void {
  state.isPausing = true;
  effects.push({ type: 'backoff', name: 'key-retry', failures });
}

/** Nobody has told what happened since the watch was lost. */
function forgetUnwatched<S>({ state }: Turn<S>): void {
  if (!state.isWatching) state.tracked = state.tracked.map((each) => ({ ...each, observed: undefined }));
}

function endWatches<S>({ state, effects }: Turn<S>): void {
  if (!state.isWatching) return;
  effects.push({ type: 'end-watches' });
  state.isWatching = false;
  state.tracked = state.tracked.map((each) => ({ ...each, watchedFrom: undefined }));
}

/** Keys that are desired no more are tracked until they are gone. */
function track(tracked: readonly TrackedKey[], desired: Desired<unknown>): readonly TrackedKey[] {
  if (desired.status === 'absent') return tracked.map((each) => ({ ...each, desired: undefined }));
  const former = new Map(tracked.map((each) => [each.key.name, each]));
  const present = desired.keys.map((key, index): TrackedKey => {
    const before = former.get(key.name) ?? {
      key,
      observed: undefined,
      lastWritten: undefined,
      wasOurs: false,
      watchedFrom: undefined,
    };
    former.delete(key.name);
    return { ...before, desired: desired.bytes[index] };
  });
  return [...present, ...[...former.values()].map((each) => ({ ...each, desired: undefined }))];
}
