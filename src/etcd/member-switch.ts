import { timer, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';
import { backoffDelayMs } from '../time/backoff.ts';
import { steadyClock } from '../time/steady-clock.ts';
import { TimerQueue } from '../time/timer-queue.ts';
import type { ClientSettings } from './client-settings.ts';
import { EtcdFault, fatalError, toFault } from './faults.ts';
import type { Endpoint } from './http2/endpoint.ts';
import type { ConnectionState, Member } from './member.ts';
import { OpenMember, type AuthState } from './open-member.ts';

/** A member that has answered for this long is healthy: the next failure is a first one again. */
const PROVEN_AFTER_MS = 2000;

/**
 * Always one member, as long as there is one to be had: connects to one after the other, with jittered delays, and tells
 * each that is up. One that is to end soon (GOAWAY) is used on until its successor is up, so that streams move from one
 * to the other, and nobody has to do without.
 */
export class MemberSwitch {
  readonly #settings: ClientSettings;
  readonly #scheduler: SchedulerLike;
  readonly #random: () => number;
  readonly #subscriber: Subscriber<ConnectionState>;
  readonly #nowMs: () => number;
  readonly #timers: TimerQueue;
  /** The first is tried next. */
  readonly #endpoints: Endpoint[];
  readonly #auth: AuthState = { token: undefined };
  /** The member that was told, while it is not lost. */
  #current: OpenMember | undefined;
  /** The one being connected to. */
  #next: OpenMember | undefined;
  #retry: Subscription | undefined;
  #failures = 0;
  #triedAtMs = 0;
  #isClosed = false;

  constructor(
    settings: ClientSettings,
    scheduler: SchedulerLike,
    random: () => number,
    subscriber: Subscriber<ConnectionState>,
  ) {
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#subscriber = subscriber;
    // A clock that is set back by an hour must not make one wait for it.
    this.#nowMs = steadyClock(scheduler);
    this.#timers = new TimerQueue(scheduler, this.#nowMs);
    this.#endpoints = shuffled(settings.endpoints, random);
    this.#try();
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.unsubscribe();
    this.#next?.close();
    this.#current?.close();
  }

  #try(): void {
    if (this.#settings.isClosed()) {
      // While a member is left, what is under way may end on it.
      if (this.#current === undefined) this.#fail(new EtcdFault('client-closed', 'the client is closed'));
      return;
    }
    this.#triedAtMs = this.#nowMs();
    // Told by callbacks that come later: `opened` is set by then.
    const opened: OpenMember = new OpenMember({
      settings: this.#settings,
      endpoint: this.#endpoints[0] as Endpoint,
      auth: this.#auth,
      failures: this.#failures,
      scheduler: this.#scheduler,
      timers: this.#timers,
      nowMs: this.#nowMs,
      random: this.#random,
      onUp: (member) => {
        this.#onUp(opened, member);
      },
      onDraining: () => {
        this.#onDraining(opened);
      },
      onLost: (fault) => {
        this.#onLost(opened, fault);
      },
    });
    this.#next = opened;
    opened.open();
  }

  #onUp(opened: OpenMember, member: Member): void {
    const former = this.#current;
    this.#next = undefined;
    this.#current = opened;
    this.#subscriber.next({ status: 'up', member });
    // Its users have gone to the new one by now.
    former?.close();
  }

  #onDraining(opened: OpenMember): void {
    if (this.#isClosed || opened !== this.#current || this.#next !== undefined || this.#retry !== undefined) return;
    this.#rotate();
    // One that ends every connection soon after it was made is not asked again at once.
    if (this.#isProven(opened)) this.#try();
    else this.#retryAfter(backoffDelayMs((this.#failures += 1), this.#random));
  }

  #onLost(opened: OpenMember, error: unknown): void {
    opened.close();
    if (this.#isClosed) return;
    const fault = toFault(error);
    const wasCurrent = opened === this.#current;
    if (wasCurrent) this.#current = undefined;
    else this.#next = undefined;
    if (fatalError(fault) !== undefined) {
      this.#fail(fault);
      return;
    }
    if (fault.kind === 'token') this.#auth.token = undefined;
    const goesOn = this.#next !== undefined || this.#retry !== undefined;
    if (!goesOn) {
      this.#rotate();
      this.#failures = wasCurrent && this.#isProven(opened) ? 1 : this.#failures + 1;
      // Counted from the attempt's start, so that the time between two attempts is bounded.
      const spentMs = this.#failures > 1 ? this.#nowMs() - this.#triedAtMs : 0;
      this.#retryAfter(Math.max(0, backoffDelayMs(this.#failures, this.#random) - spentMs));
    }
    if (this.#current === undefined) {
      this.#subscriber.next({ status: 'down', attempt: Math.max(1, this.#failures), cause: fault });
    }
  }

  #retryAfter(delayMs: number): void {
    this.#retry = timer(delayMs, this.#scheduler).subscribe(() => {
      this.#retry = undefined;
      if (!this.#isClosed) this.#try();
    });
  }

  #isProven(opened: OpenMember): boolean {
    return this.#nowMs() - opened.healthySinceMs >= PROVEN_AFTER_MS;
  }

  /** The next attempt goes to another member; this one comes last. */
  #rotate(): void {
    this.#endpoints.push(this.#endpoints.shift() as Endpoint);
  }

  #fail(fault: EtcdFault): void {
    this.close();
    this.#subscriber.error(fatalError(fault) ?? fault);
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
