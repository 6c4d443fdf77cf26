import { Observable, timer, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';
import { TimerQueue, type QueuedTimer } from '../time/timer-queue.ts';
import { EtcdFault, toFault } from './faults.ts';
import type { Renewal } from './member.ts';
import type { Duplex } from './rpc.ts';
import type { KeepAliveResponse } from './wire/messages.ts';

export interface KeepAliveStreamOptions {
  /** Opens the stream: called with the first lease, and again after the last one had gone. */
  readonly open: () => Duplex;
  readonly onFault: (fault: EtcdFault) => void;
  readonly onAnswer: () => void;
  readonly scheduler: SchedulerLike;
  /** A clock that is never set back, as the scheduler's can be: for what is due when. */
  readonly steadyNowMs: () => number;
  readonly random: () => number;
}

interface SentRenewal extends Omit<Renewal, 'ttlSeconds'> {
  readonly steadyMs: number;
}

/** Rings when it is to be renewed. */
class KeptLease implements QueuedTimer {
  readonly leaseId: string;
  readonly subscriber: Subscriber<Renewal>;
  ttlSeconds: number;
  dueMs: number | undefined = undefined;
  /** When it is to be renewed at the latest, by the scheduler's clock: in a machine that sleeps, the steady one may too. */
  dueAtMs = 0;
  /** The renewals not answered yet: a stream answers a lease's renewals in their order. */
  unanswered: readonly SentRenewal[];
  readonly #renew: (lease: KeptLease) => void;

  constructor(
    leaseId: string,
    subscriber: Subscriber<Renewal>,
    ttlSeconds: number,
    unanswered: readonly SentRenewal[],
    renew: (lease: KeptLease) => void,
  ) {
    this.leaseId = leaseId;
    this.subscriber = subscriber;
    this.ttlSeconds = ttlSeconds;
    this.unanswered = unanswered;
    this.#renew = renew;
  }

  fire(): void {
    this.#renew(this);
  }
}

const NONE: readonly SentRenewal[] = [];

// Less is no silence: a cluster that elects a leader answers nobody for a second or two.
const SILENCE_MS = 2500;
const SILENCE_GRACE_MS = 200;

/** Renewals may be this much earlier than a third of the TTL, in parts of it, so that leases drift apart. */
const SPREAD = 0.04;

/** And this much, so that many are sent at once. */
const SLACK = 1 / 16;

interface StreamState {
  readonly duplex: Duplex;
  readonly leases: Map<string, KeptLease>;
  /** The unanswered renewals of leases let go: taken up again, a lease must not take their answers for its own. */
  readonly former: Map<string, readonly SentRenewal[]>;
  /** Runs while there is reason to believe that the member is silent. */
  silence: Subscription | undefined;
  /** When the last answer came, by the steady clock. */
  answeredMs: number;
  closed: boolean;
}

/**
 * Many leases kept alive over one bidirectional stream, with one timer.
 *
 * Each is renewed at a third of its granted TTL, a little earlier by chance, so that leases granted
 * together drift apart. An answer with a TTL of 0 says that the lease is gone. A renewal not answered when the next
 * one is due speaks against the member: there is time to renew the lease at another one, which HTTP/2 pings alone
 * would not leave.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#keep-alives
 */
export function keepAliveStream(
  options: KeepAliveStreamOptions,
): (leaseId: string, ttlSeconds: number, firstDelayMs: number) => Observable<Renewal> {
  const { scheduler, steadyNowMs } = options;
  const clock = new TimerQueue(scheduler, steadyNowMs);
  let current: StreamState | undefined;

  const close = (state: StreamState): void => {
    if (current === state) current = undefined;
    state.closed = true;
    for (const lease of state.leases.values()) clock.cancel(lease);
    state.silence?.unsubscribe();
    state.duplex.end();
    state.duplex.cancel();
  };

  const failAll = (state: StreamState, error: unknown): void => {
    if (state.closed) return;
    close(state);
    const fault = toFault(error);
    for (const lease of [...state.leases.values()]) lease.subscriber.error(fault);
    options.onFault(fault);
  };

  /** Answers are late with thousands of leases, or a busy process; a silent member gives none at all. */
  const isSilent = (state: StreamState, lease: KeptLease, sent: SentRenewal | undefined): sent is SentRenewal =>
    sent !== undefined &&
    sent === lease.unanswered[0] &&
    state.leases.get(lease.leaseId) === lease &&
    steadyNowMs() - Math.max(sent.steadyMs, state.answeredMs) >= SILENCE_MS;

  /** Gives answers that wait to be read the time to be: then it was this process that was late. */
  const suspectSilence = (state: StreamState, lease: KeptLease): void => {
    const oldest = lease.unanswered[0];
    if (state.silence !== undefined || !isSilent(state, lease, oldest)) return;
    const suspectedMs = steadyNowMs();
    state.silence = timer(SILENCE_GRACE_MS, scheduler).subscribe(() => {
      state.silence = undefined;
      if (!isSilent(state, lease, oldest)) return;
      // Stopped or blocked in the meantime: the timer comes before what waits in the socket.
      if (steadyNowMs() - suspectedMs >= 2 * SILENCE_GRACE_MS) suspectSilence(state, lease);
      else
        failAll(
          state,
          new EtcdFault('connection', `no renewal was answered for ${Math.round(steadyNowMs() - oldest.steadyMs)} ms`),
        );
    });
  };

  const openStream = (): StreamState => {
    const state: StreamState = {
      duplex: options.open(),
      leases: new Map(),
      former: new Map(),
      silence: undefined,
      answeredMs: -Infinity,
      closed: false,
    };
    const fail = (error: unknown): void => {
      failAll(state, error);
    };
    state.duplex.on('error', fail);
    state.duplex.on('end', () => {
      fail(new EtcdFault('connection', 'the member ended the keepalive stream'));
    });
    state.duplex.on('data', ({ ID, TTL }: KeepAliveResponse) => {
      if (state.closed) return;
      state.answeredMs = steadyNowMs();
      options.onAnswer();
      receive(state, ID, TTL);
    });
    return state;
  };

  const receive = (state: StreamState, leaseId: string, ttlSeconds: number): void => {
    const lease = state.leases.get(leaseId);
    if (lease === undefined) {
      const left = state.former.get(leaseId)?.slice(1) ?? NONE;
      if (left.length > 0) state.former.set(leaseId, left);
      else state.former.delete(leaseId);
      return;
    }
    const { unanswered } = lease;
    const sent = unanswered[0];
    if (sent === undefined) return;
    lease.unanswered = unanswered.length > 1 ? unanswered.slice(1) : NONE;
    if (ttlSeconds <= 0) {
      forget(state, lease);
      lease.subscriber.error(new EtcdFault('lease-gone', `lease ${leaseId} expired or was revoked`));
      return;
    }
    lease.ttlSeconds = ttlSeconds;
    lease.subscriber.next({ ttlSeconds, sentAtMs: sent.sentAtMs, lateMs: sent.lateMs });
  };

  const forget = (state: StreamState, lease: KeptLease): void => {
    state.leases.delete(lease.leaseId);
    clock.cancel(lease);
    if (state.leases.size === 0) close(state);
  };

  /** Sends the renewal that is due. The lease is of the present stream: with a stream its alarms end. */
  const renew = (lease: KeptLease): void => {
    const state = current as StreamState;
    suspectSilence(state, lease);
    const sentAtMs = scheduler.now();
    const lateMs = Math.max(0, sentAtMs - lease.dueAtMs);
    lease.unanswered = lease.unanswered.concat({ sentAtMs, lateMs, steadyMs: steadyNowMs() });
    state.duplex.write({ ID: lease.leaseId });
    const thirdMs = lease.ttlSeconds * (1000 / 3);
    schedule(lease, thirdMs * (1 - SLACK - SPREAD * options.random()), thirdMs * SLACK);
  };

  const schedule = (lease: KeptLease, delayMs: number, slackMs: number): void => {
    lease.dueAtMs = scheduler.now() + delayMs + slackMs;
    clock.set(lease, delayMs, slackMs);
  };

  return (leaseId, ttlSeconds, firstDelayMs) =>
    new Observable<Renewal>((subscriber) => {
      const state = (current ??= openStream());
      const lease = new KeptLease(leaseId, subscriber, ttlSeconds, state.former.get(leaseId) ?? NONE, renew);
      state.former.delete(leaseId);
      state.leases.set(leaseId, lease);
      const slackMs = firstDelayMs * SLACK;
      schedule(lease, firstDelayMs - slackMs, slackMs);
      return () => {
        if (state.closed || state.leases.get(leaseId) !== lease) return;
        if (lease.unanswered.length > 0) state.former.set(leaseId, lease.unanswered);
        forget(state, lease);
      };
    });
}
