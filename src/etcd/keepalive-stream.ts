import { Observable, timer, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';
import { backoffDelayMs } from '../time/backoff.ts';
import { TimerQueue, type QueuedTimer } from '../time/timer-queue.ts';
import { EtcdFault } from './faults.ts';
import type { Renewal } from './member.ts';
import type { Duplex } from './rpc.ts';
import type { KeepAliveResponse } from './wire/messages.ts';

export interface KeepAliveStreamOptions {
  /** Opens a stream: with the first lease, after the last one had gone, and after a refusal. */
  readonly open: () => Duplex;
  /** Sorts what a stream failed with. */
  readonly sort: (error: unknown) => EtcdFault;
  /** Completes when a stream refused so can be opened again: with a new token, if that is what it lacked. */
  readonly renewToken$: (fault: EtcdFault) => Observable<unknown>;
  readonly onFault: (fault: EtcdFault) => void;
  readonly onAnswer: () => void;
  readonly scheduler: SchedulerLike;
  /** A clock that is never set back, as the scheduler's can be: for what is due when. */
  readonly steadyNowMs: () => number;
  readonly random: () => number;
}

interface SentRenewal extends Omit<Renewal, 'ttlSeconds'> {
  readonly leaseId: string;
  /** Undefined when the lease was let go since. */
  lease: KeptLease | undefined;
  readonly steadyMs: number;
}

/** Fires when it is to be renewed. */
class KeptLease implements QueuedTimer {
  readonly leaseId: string;
  readonly subscriber: Subscriber<Renewal>;
  /** As granted. An answer can name a shorter TTL, but no longer one: it would be renewed too late. */
  readonly grantedSeconds: number;
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
    this.grantedSeconds = ttlSeconds;
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

/** So many renewals of a lease go unanswered while others are answered: more than a TTL is over. */
const MAX_UNANSWERED = 4;

/** So many refusals in a row, with no answer between, that concern no lease alone: then it is the member. */
const MAX_REFUSALS = 4;

interface StreamState {
  readonly duplex: Duplex;
  /** The renewals not answered yet, in the order in which they were sent. */
  readonly sent: Set<SentRenewal>;
  /** The unanswered renewals of leases let go: taken up again, a lease must not take their answers for its own. */
  readonly former: Map<string, readonly SentRenewal[]>;
  /** How many renewals may be unanswered at once: few after a refusal, which may be followed by others. */
  window: number;
  /** Runs while there is reason to believe that the member is silent. */
  silence: Subscription | undefined;
  /** When the last answer came, by the steady clock. */
  answeredMs: number;
  /** When what was answered last had been sent: what was sent before, and is not answered, was passed over. */
  answeredSentMs: number;
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
 * From 3.4.42, 3.5.28 and 3.6.9 on, etcd checks each renewal against the token and the right to write every key of the
 * lease, and ends the whole stream on a refusal. Renewals are answered in order, so a missing right is the oldest
 * unanswered one's: that lease fails alone, and the others are renewed over another stream. After an expired token all
 * of them are. At first few renewals at a time, and more with each answer: a thousand leases refused one after another
 * would otherwise be sent half a million times.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#keep-alives
 */
export function keepAliveStream(
  options: KeepAliveStreamOptions,
): (leaseId: string, ttlSeconds: number, firstDelayMs: number) => Observable<Renewal> {
  const { scheduler, steadyNowMs } = options;
  const clock = new TimerQueue(scheduler, steadyNowMs);
  const leases = new Map<string, KeptLease>();
  /** To be renewed as soon as the stream allows. */
  const waiting = new Set<KeptLease>();
  let current: StreamState | undefined;
  /** Runs while a token is renewed, or a pause made: there is no stream meanwhile. */
  let reopening: Subscription | undefined;
  let refusals = 0;

  const close = (state: StreamState): void => {
    if (current === state) current = undefined;
    state.closed = true;
    state.silence?.unsubscribe();
    state.duplex.end();
    state.duplex.cancel();
  };

  const failAll = (fault: EtcdFault): void => {
    if (current !== undefined) close(current);
    reopening?.unsubscribe();
    reopening = undefined;
    refusals = 0;
    waiting.clear();
    const lost = [...leases.values()];
    leases.clear();
    for (const lease of lost) clock.cancel(lease);
    for (const lease of lost) lease.subscriber.error(fault);
    // A mistake in a user's function, not the member's.
    if (fault.kind !== 'callback-failed') options.onFault(fault);
  };

  const onStreamError = (state: StreamState, error: unknown): void => {
    if (state.closed) return;
    const fault = options.sort(error);
    switch (fault.kind) {
      case 'permission-denied':
      case 'invalid-request':
      case 'lease-gone': {
        const [oldest] = state.sent;
        if (oldest === undefined) break;
        takeBack(state, 1);
        refuse(oldest.lease, fault);
        resend();
        return;
      }
      case 'token':
      case 'auth-revision':
      case 'busy':
        refusals += 1;
        if (refusals > MAX_REFUSALS) break;
        takeBack(state, Infinity);
        reopen(fault.kind === 'busy' ? undefined : options.renewToken$(fault));
        return;
      default:
    }
    failAll(ofWholeMember(fault));
  };

  /** Ends a stream whose leases go on over another one: what it did not answer is to be sent again. */
  const takeBack = (state: StreamState, window: number): void => {
    close(state);
    for (const { lease } of state.sent) {
      if (lease === undefined) continue;
      lease.unanswered = NONE;
      waiting.add(lease);
    }
    nextWindow = window;
  };
  let nextWindow = Infinity;

  const refuse = (lease: KeptLease | undefined, fault: EtcdFault): void => {
    if (lease === undefined) return;
    forget(lease);
    lease.subscriber.error(fault);
  };

  /** Opens a stream again after a pause, once `ready$` has completed; after several refusals the pause is longer. */
  const reopen = (ready$: Observable<unknown> | undefined): void => {
    const open = (): void => {
      reopening = undefined;
      resend();
    };
    const wait = (): Subscription => timer(backoffDelayMs(refusals, options.random), scheduler).subscribe(open);
    reopening?.unsubscribe();
    if (ready$ === undefined || refusals > 1) reopening = wait();
    else {
      const renewing = ready$.subscribe({
        error: (error: unknown) => {
          reopening = undefined;
          failAll(options.sort(error));
        },
        complete: open,
      });
      if (!renewing.closed) reopening = renewing;
    }
  };

  const resend = (): void => {
    for (const lease of waiting) {
      if (reopening !== undefined || (current !== undefined && current.sent.size >= current.window)) return;
      waiting.delete(lease);
      if (!send(lease)) return;
    }
  };

  /** Whether it was sent, or waits; if not, no stream could be opened, and all have failed. */
  const send = (lease: KeptLease): boolean => {
    if (reopening !== undefined || (current !== undefined && current.sent.size >= current.window)) {
      waiting.add(lease);
      return true;
    }
    let state: StreamState;
    try {
      state = current ??= openStream();
    } catch (error) {
      failAll(options.sort(error));
      return false;
    }
    const sentAtMs = scheduler.now();
    const lateMs = Math.max(0, sentAtMs - lease.dueAtMs);
    const { leaseId } = lease;
    const renewal = { leaseId, lease, sentAtMs, lateMs, steadyMs: steadyNowMs() };
    lease.unanswered = lease.unanswered.concat(renewal);
    state.sent.add(renewal);
    state.duplex.write({ ID: leaseId });
    return true;
  };

  /** Answers are late with thousands of leases, or a busy process; a silent member gives none at all. */
  const isSilent = (state: StreamState, lease: KeptLease, sent: SentRenewal | undefined): sent is SentRenewal =>
    sent !== undefined &&
    sent === lease.unanswered[0] &&
    leases.get(lease.leaseId) === lease &&
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
      else {
        const silentMs = Math.round(steadyNowMs() - oldest.steadyMs);
        failAll(new EtcdFault('connection', `no renewal was answered for ${silentMs} ms`, { code: 'timeout' }));
      }
    });
  };

  const openStream = (): StreamState => {
    const state: StreamState = {
      duplex: options.open(),
      sent: new Set(),
      former: new Map(),
      window: nextWindow,
      silence: undefined,
      answeredMs: -Infinity,
      answeredSentMs: -Infinity,
      closed: false,
    };
    nextWindow = Infinity;
    state.duplex.on('error', (error) => {
      onStreamError(state, error);
    });
    state.duplex.on('end', () => {
      onStreamError(state, new EtcdFault('connection', 'the member ended the keepalive stream'));
    });
    state.duplex.on('data', ({ ID, TTL }: KeepAliveResponse) => {
      if (state.closed) return;
      state.answeredMs = steadyNowMs();
      options.onAnswer();
      receive(state, ID, TTL);
      resend();
    });
    return state;
  };

  const receive = (state: StreamState, leaseId: string, ttlSeconds: number): void => {
    const lease = leases.get(leaseId);
    const unanswered = lease?.unanswered ?? state.former.get(leaseId) ?? NONE;
    const sent = unanswered[0];
    // Nobody asked, or for another lease.
    if (sent === undefined) return;
    refusals = 0;
    state.window += 1;
    state.answeredSentMs = Math.max(state.answeredSentMs, sent.steadyMs);
    passOver(state, sent);
    const left = unanswered.length > 1 ? unanswered.slice(1) : NONE;
    if (lease === undefined) {
      if (left.length > 0) state.former.set(leaseId, left);
      else state.former.delete(leaseId);
      return;
    }
    lease.unanswered = left;
    if (!(ttlSeconds > 0)) {
      forget(lease);
      lease.subscriber.error(new EtcdFault('lease-gone', `lease ${leaseId} expired or was revoked`));
      return;
    }
    lease.ttlSeconds = Math.min(ttlSeconds, lease.grantedSeconds);
    lease.subscriber.next({ ttlSeconds: lease.ttlSeconds, sentAtMs: sent.sentAtMs, lateMs: sent.lateMs });
  };

  /** An answer passed over what was sent before and let go since: that will not be answered any more. */
  const passOver = (state: StreamState, answered: SentRenewal): void => {
    for (const sent of state.sent) {
      if (sent === answered) break;
      if (sent.lease !== undefined) continue;
      state.sent.delete(sent);
      const left = (state.former.get(sent.leaseId) ?? NONE).filter((other) => other !== sent);
      if (left.length > 0) state.former.set(sent.leaseId, left);
      else state.former.delete(sent.leaseId);
    }
    state.sent.delete(answered);
  };

  const forget = (lease: KeptLease): void => {
    leases.delete(lease.leaseId);
    waiting.delete(lease);
    clock.cancel(lease);
    if (leases.size > 0) return;
    if (current !== undefined) close(current);
    reopening?.unsubscribe();
    reopening = undefined;
    refusals = 0;
    nextWindow = Infinity;
  };

  /** Sends the renewal that is due. */
  const renew = (lease: KeptLease): void => {
    if (current !== undefined) suspectSilence(current, lease);
    const [oldest] = lease.unanswered;
    const passedOver = oldest !== undefined && oldest.steadyMs < (current?.answeredSentMs ?? 0);
    if (passedOver && lease.unanswered.length >= MAX_UNANSWERED) {
      letGo(lease);
      const message = `the last ${MAX_UNANSWERED} renewals of lease ${lease.leaseId} were not answered`;
      lease.subscriber.error(new EtcdFault('busy', message, { code: 'timeout' }));
      return;
    }
    if (!send(lease)) return;
    const thirdMs = lease.ttlSeconds * (1000 / 3);
    schedule(lease, thirdMs * (1 - SLACK - SPREAD * options.random()), thirdMs * SLACK);
  };

  /** The lease is left, and what was sent for it may still be answered. */
  const letGo = (lease: KeptLease): void => {
    if (current !== undefined && lease.unanswered.length > 0) {
      for (const sent of lease.unanswered) sent.lease = undefined;
      current.former.set(lease.leaseId, lease.unanswered);
    }
    forget(lease);
  };

  const schedule = (lease: KeptLease, delayMs: number, slackMs: number): void => {
    lease.dueAtMs = scheduler.now() + delayMs + slackMs;
    clock.set(lease, delayMs, slackMs);
  };

  return (leaseId, ttlSeconds, firstDelayMs) =>
    new Observable<Renewal>((subscriber) => {
      if (reopening === undefined) current ??= openStream();
      const unanswered = current?.former.get(leaseId) ?? NONE;
      const lease = new KeptLease(leaseId, subscriber, ttlSeconds, unanswered, renew);
      for (const sent of unanswered) sent.lease = lease;
      current?.former.delete(leaseId);
      leases.set(leaseId, lease);
      const slackMs = firstDelayMs * SLACK;
      schedule(lease, firstDelayMs - slackMs, slackMs);
      return () => {
        if (leases.get(leaseId) === lease) letGo(lease);
      };
    });
}

/** What ends a stream, and concerns no lease alone, speaks against the member. */
function ofWholeMember(fault: EtcdFault): EtcdFault {
  const { kind, code, message } = fault;
  if (kind === 'connection' || kind === 'token' || kind === 'callback-failed' || kind === 'client-closed') return fault;
  return new EtcdFault('connection', message, { code, cause: fault.cause });
}
