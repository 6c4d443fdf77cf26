import { Observable, timer, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';
import { AlarmClock, type Alarm } from './alarm-clock.ts';
import { EtcdFault, toFault } from './faults.ts';
import type { Renewal } from './link.ts';
import type { Duplex } from './rpc.ts';

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

interface KeptLease {
  readonly leaseId: string;
  readonly subscriber: Subscriber<Renewal>;
  ttlSeconds: number;
  /** Rings when it is to be renewed. */
  alarm: Alarm | undefined;
  /** When that is by the scheduler's clock: in a machine that sleeps, the steady one may sleep too. */
  dueAtMs: number;
  /** The renewals not answered yet: a stream answers a lease's renewals in their order. */
  readonly unanswered: SentRenewal[];
}

// Less is no silence: a cluster that elects a leader answers nobody for a second or two.
const SILENCE_MS = 2500;
const SILENCE_GRACE_MS = 200;

interface StreamState {
  readonly duplex: Duplex;
  readonly leases: Map<string, KeptLease>;
  /** The unanswered renewals of leases let go: taken up again, a lease must not take their answers for its own. */
  readonly former: Map<string, SentRenewal[]>;
  readonly clock: AlarmClock;
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
  let current: StreamState | undefined;

  const close = (state: StreamState): void => {
    if (current === state) current = undefined;
    state.closed = true;
    state.clock.cancelAll();
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
    const [oldest] = lease.unanswered;
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
          new EtcdFault('link', `no renewal was answered for ${Math.round(steadyNowMs() - oldest.steadyMs)} ms`),
        );
    });
  };

  const openStream = (): StreamState => {
    const state: StreamState = {
      duplex: options.open(),
      leases: new Map(),
      former: new Map(),
      clock: new AlarmClock(scheduler, steadyNowMs),
      silence: undefined,
      answeredMs: -Infinity,
      closed: false,
    };
    const fail = (error: unknown): void => {
      failAll(state, error);
    };
    state.duplex.on('error', fail);
    state.duplex.on('end', () => {
      fail(new EtcdFault('link', 'the member ended the keepalive stream'));
    });
    state.duplex.on('data', (response: { readonly ID: string; readonly TTL: string }) => {
      if (state.closed) return;
      state.answeredMs = steadyNowMs();
      options.onAnswer();
      receive(state, response.ID, Number(response.TTL));
    });
    return state;
  };

  const receive = (state: StreamState, leaseId: string, ttlSeconds: number): void => {
    const lease = state.leases.get(leaseId);
    const unanswered = lease?.unanswered ?? state.former.get(leaseId);
    const sent = unanswered?.shift();
    if (lease === undefined && unanswered?.length === 0) state.former.delete(leaseId);
    if (lease === undefined || sent === undefined) return;
    if (ttlSeconds <= 0) {
      forget(state, lease);
      if (state.leases.size === 0) close(state);
      lease.subscriber.error(new EtcdFault('lease-gone', `lease ${leaseId} expired or was revoked`));
      return;
    }
    lease.ttlSeconds = ttlSeconds;
    lease.subscriber.next({ ttlSeconds, sentAtMs: sent.sentAtMs, lateMs: sent.lateMs });
  };

  const renew = (state: StreamState, lease: KeptLease): void => {
    suspectSilence(state, lease);
    const sentAtMs = scheduler.now();
    const lateMs = Math.max(0, sentAtMs - lease.dueAtMs);
    lease.unanswered.push({ sentAtMs, lateMs, steadyMs: steadyNowMs() });
    state.duplex.write({ ID: lease.leaseId });
    schedule(state, lease, lease.ttlSeconds * (1000 / 3) * (1 - 0.1 * options.random()));
  };

  const schedule = (state: StreamState, lease: KeptLease, delayMs: number): void => {
    lease.dueAtMs = scheduler.now() + delayMs;
    lease.alarm = state.clock.set(delayMs, () => {
      renew(state, lease);
    });
  };

  return (leaseId, ttlSeconds, firstDelayMs) =>
    new Observable<Renewal>((subscriber) => {
      const state = (current ??= openStream());
      const unanswered = state.former.get(leaseId) ?? [];
      state.former.delete(leaseId);
      const lease: KeptLease = { leaseId, subscriber, ttlSeconds, alarm: undefined, dueAtMs: 0, unanswered };
      state.leases.set(leaseId, lease);
      schedule(state, lease, firstDelayMs);
      return () => {
        if (state.closed || state.leases.get(leaseId) !== lease) return;
        forget(state, lease);
        if (lease.unanswered.length > 0) state.former.set(leaseId, lease.unanswered);
        if (state.leases.size === 0) close(state);
      };
    });
}

function forget(state: StreamState, lease: KeptLease): void {
  state.leases.delete(lease.leaseId);
  if (lease.alarm !== undefined) state.clock.cancel(lease.alarm);
}
