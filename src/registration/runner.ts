import type { SchedulerLike, Subscriber, Subscription } from 'rxjs';
import type {
  Connection,
  ConnectionState,
  GrantedLease,
  Member,
  Renewal,
  TxnAnswer,
  WatchMessage,
} from '../etcd/member.ts';
import { backoffDelayMs, fractionOf } from '../time/backoff.ts';
import { timerQueueOf, type QueuedTimer, type TimerQueue } from '../time/timer-queue.ts';
import { Activity, type ActivityOwner } from './activity.ts';
import { listenersOf, type ConnectionListener } from './connection-listeners.ts';
import { Grant, type GrantListener } from './grant.ts';
import { newLeaseId } from './lease-id.ts';
import {
  initialState,
  type Effect,
  type HeldLease,
  type Input,
  type MachineConfig,
  type MachineState,
  type TimerName,
} from './machine.ts';
import type { RegisteredKey } from './reconcile.ts';
import { Revocation } from './revocation.ts';
import { startGateOf, type Starter } from './start-gate.ts';
import { step } from './step.ts';

export interface RunnerOptions {
  readonly connection: Connection;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
}

type Kind = { readonly type: 'renewals' | 'write' } | { readonly type: 'watch'; readonly key: RegisteredKey };
const RENEWALS: Kind = { type: 'renewals' };
const WRITE: Kind = { type: 'write' };

interface Queued {
  readonly input: Input;
  /** What it came from; ended since, it has nothing to say. */
  readonly from: Activity<Kind> | MachineTimer | undefined;
}

/**
 * Runs one machine for one subscriber: inputs go into an inbox and are taken one at a time, each to its end, with all
 * its effects. What calls back meanwhile (a user's function, a source that answers at once) only adds to the inbox.
 */
export class Runner<S> implements ConnectionListener, ActivityOwner<Activity<Kind>>, GrantListener, Starter {
  readonly #options: RunnerOptions;
  readonly #subscriber: Subscriber<S>;
  readonly #queue: TimerQueue;
  #state: MachineState<S>;
  #isBusy = false;
  #inbox: Queued[] = [];
  #grant: Grant | undefined;
  /** Grants of the same lease before it that may still reach a server. */
  #unanswered: readonly Grant[] = [];
  #renewals: Activity<Kind> | undefined;
  #write: Activity<Kind> | undefined;
  #watches: readonly Activity<Kind>[] = [];
  #timers: readonly MachineTimer[] = [];
  /** The user's streams. */
  #inputs: Subscription | undefined;

  constructor(config: MachineConfig<S>, options: RunnerOptions, subscriber: Subscriber<S>) {
    this.#options = options;
    this.#subscriber = subscriber;
    this.#queue = timerQueueOf(options.scheduler);
    this.#state = initialState(config);
  }

  /** @param inputs subscribes to the user's streams, which `post` and `fail`. */
  start(inputs?: () => Subscription): void {
    this.#subscriber.add(() => {
      this.post({ type: 'stop' });
    });
    this.#inputs = inputs?.();
    if (this.#state.phase !== 'new') this.#inputs?.unsubscribe();
    this.post({ type: 'start' });
  }

  post(input: Input, from?: Queued['from']): void {
    if (this.#isBusy) {
      this.#inbox.push({ input, from });
      return;
    }
    this.#isBusy = true;
    this.#take(input);
    // It may grow while it is worked off.
    for (const queued of this.#inbox) if (queued.from?.isEnded !== true) this.#take(queued.input);
    if (this.#inbox.length > 0) this.#inbox = [];
    this.#isBusy = false;
  }

  /** An error of the user's streams, or of a user's function. */
  fail(error: unknown): void {
    this.#subscriber.error(error);
  }

  next(state: ConnectionState): void {
    this.post(
      state.status === 'up' ? { type: 'up', member: state.member } : { type: 'down', cause: state.cause.passing },
    );
  }

  error(error: unknown): void {
    this.post({ type: 'failed', error });
  }

  onAdmitted(): void {
    this.post({ type: 'admitted' });
  }

  onGranted({ leaseId, sentAtMs }: Grant, answer: GrantedLease): void {
    this.post({ type: 'granted', askedId: leaseId, sentAtMs, answer });
  }

  onGrantFailed(grant: Grant, fault: unknown): void {
    this.post({ type: 'grant-failed', isLatest: grant === this.#grant, isFirst: grant.isFirst, fault });
  }

  onValue(activity: Activity<Kind>, value: unknown): void {
    const { kind } = activity;
    switch (kind.type) {
      case 'renewals':
        this.post({ type: 'renewed', renewal: value as Renewal }, activity);
        return;
      case 'write':
        activity.isAnswered = true;
        this.post({ type: 'written', answer: value as TxnAnswer }, activity);
        return;
      case 'watch':
        this.post({ type: 'watched', key: kind.key, message: value as WatchMessage }, activity);
    }
  }

  onFault(activity: Activity<Kind>, fault: unknown): void {
    switch (activity.kind.type) {
      case 'renewals':
        this.post({ type: 'renewal-failed', fault }, activity);
        return;
      case 'write':
        this.post({ type: 'write-failed', fault }, activity);
        return;
      case 'watch':
        this.post({ type: 'watch-failed', fault }, activity);
    }
  }

  #take(input: Input): void {
    // Answered: there is nothing to end any more.
    if (input.type === 'written' || input.type === 'write-failed') this.#write = undefined;
    try {
      const at = { nowMs: this.#options.scheduler.now(), steadyMs: this.#queue.nowMs() };
      const { state, effects } = step(this.#state, input, at);
      this.#state = state;
      for (const effect of effects) this.#run(effect);
    } catch (error) {
      // A user's `random` that throws, or a bug: told, and not retried.
      this.#subscriber.error(error);
    }
  }

  #run(effect: Effect<S>): void {
    const { connection, random, scheduler } = this.#options;
    switch (effect.type) {
      case 'listen':
        listenersOf(connection).add(this);
        return;
      case 'unlisten':
        listenersOf(connection).remove(this);
        return;
      case 'enter':
        startGateOf(connection).enter(this);
        return;
      case 'give-place-back':
        startGateOf(connection).leave(this);
        return;
      case 'draw-lease-id':
        this.post({ type: 'lease-id-drawn', leaseId: newLeaseId(random) });
        return;
      case 'grant': {
        this.#keepUnanswered(effect.leaseId);
        this.#grant = new Grant(this, effect.leaseId, scheduler.now(), effect.isFirst);
        this.#grant.send(this.#state.member as Member, this.#state.config.ttlSeconds);
        return;
      }
      case 'renew': {
        const { leaseId, ttlSeconds, grantedAtMs } = effect;
        const delayMs = grantedAtMs === undefined ? 0 : this.#firstDelayMs(ttlSeconds, grantedAtMs);
        const member = this.#state.member as Member;
        this.#renewals?.end();
        this.#renewals = new Activity(this, RENEWALS);
        this.#renewals.begin(() => member.keepAlive$(leaseId, ttlSeconds, delayMs));
        return;
      }
      case 'end-renewals':
        this.#renewals?.end();
        this.#renewals = undefined;
        return;
      case 'write': {
        const member = this.#state.member as Member;
        this.#write?.end();
        this.#write = new Activity(this, WRITE);
        this.#write.begin(() => member.txn$(effect.request));
        return;
      }
      case 'end-write':
        this.#write?.end();
        this.#write = undefined;
        return;
      case 'watch': {
        const { key, startRevision, catchesUp } = effect;
        const member = this.#state.member as Member;
        const watch = new Activity<Kind>(this, { type: 'watch', key });
        this.#watches = [...this.#watches, watch];
        const range = { key: key.bytes, namespaceBytes: key.namespaceBytes };
        watch.begin(() => member.watch$({ range, startRevision, catchesUp }));
        return;
      }
      case 'end-watch':
        this.#endWatches((kind) => kind.type === 'watch' && kind.key === effect.key);
        return;
      case 'end-watches':
        this.#endWatches(() => true);
        return;
      case 'timer':
        this.#setTimer(effect.name, effect.delayMs);
        return;
      case 'backoff':
        this.#setTimer(effect.name, backoffDelayMs(effect.failures, random));
        return;
      case 'end-timer':
        this.#endTimer(effect.name);
        return;
      case 'end-inputs':
        this.#inputs?.unsubscribe();
        return;
      case 'revoke':
        this.#revoke(effect.lease, effect.isReported);
        return;
      case 'emit':
        this.#subscriber.next(effect.state);
        return;
      case 'fail':
        this.#subscriber.error(effect.error);
        return;
      case 'complete':
        this.#subscriber.complete();
    }
  }
  #firstDelayMs(ttlSeconds: number, grantedAtMs: number): number {
    const { random, scheduler } = this.#options;
    // Counted from when the grant was sent: its answer may have taken a good part of the TTL.
    const thirdMs = (ttlSeconds * 1000) / 3;
    const dueInMs = grantedAtMs + (1 - fractionOf(random)) * thirdMs - scheduler.now();
    // Not later, if the clock was set back meanwhile.
    return Math.min(thirdMs, Math.max(0, dueInMs));
  }

  #keepUnanswered(leaseId: string): void {
    const grants = this.#grant === undefined ? this.#unanswered : [...this.#unanswered, this.#grant];
    this.#unanswered = grants.filter((grant) => grant.leaseId === leaseId && !grant.isAnswered);
  }

  #revoke(lease: HeldLease, isReported: boolean): void {
    const { connection, scheduler, random } = this.#options;
    this.#keepUnanswered(lease.id);
    const latest = this.#grant?.leaseId === lease.id ? this.#grant : undefined;
    const onDone = isReported
      ? (confirmed: boolean): void => {
          this.post({ type: 'revoked', confirmed });
        }
      : ignore;
    new Revocation({
      connection,
      lease,
      grant: latest,
      unanswered: this.#unanswered,
      scheduler,
      random,
      onDone,
    }).start();
  }

  #endWatches(isMeant: (kind: Kind) => boolean): void {
    const [ended, left] = partition(this.#watches, ({ kind }) => isMeant(kind));
    this.#watches = left;
    for (const watch of ended) watch.end();
  }

  #setTimer(name: TimerName, delayMs: number): void {
    this.#endTimer(name);
    const timer = new MachineTimer(this, name);
    this.#timers = [...this.#timers, timer];
    this.#queue.set(timer, delayMs);
  }

  #endTimer(name: TimerName): void {
    const timer = this.#timers.find((each) => each.name === name);
    if (timer === undefined) return;
    this.#timers = this.#timers.filter((each) => each !== timer);
    timer.isEnded = true;
    this.#queue.cancel(timer);
  }
}

class MachineTimer implements QueuedTimer {
  dueMs: number | undefined = undefined;
  isEnded = false;
  readonly name: TimerName;
  readonly #runner: Pick<Runner<unknown>, 'post'>;

  constructor(runner: Pick<Runner<unknown>, 'post'>, name: TimerName) {
    this.#runner = runner;
    this.name = name;
  }

  fire(): void {
    this.#runner.post({ type: 'timer', name: this.name }, this);
  }
}

function ignore(): void {
  // Nobody waits for it.
}

function partition<V>(all: readonly V[], belongs: (each: V) => boolean): [V[], V[]] {
  const [first, second]: [V[], V[]] = [[], []];
  for (const each of all) (belongs(each) ? first : second).push(each);
  return [first, second];
}
