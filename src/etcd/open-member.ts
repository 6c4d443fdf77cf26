import {
  catchError,
  defer,
  map,
  of,
  share,
  throwError,
  type Observable,
  type SchedulerLike,
  type Subscription,
} from 'rxjs';
import type { TimerQueue } from '../time/timer-queue.ts';
import type { ClientSettings } from './client-settings.ts';
import { EtcdFault, toFault } from './faults.ts';
import { grpcMember } from './grpc-member.ts';
import type { Channel } from './http2/channel.ts';
import type { Endpoint } from './http2/endpoint.ts';
import { grpcClientOf } from './http2/grpc-client.ts';
import { openChannel } from './http2/open-channel.ts';
import type { Member } from './member.ts';
import { unary$, type GrpcClient } from './rpc.ts';
import { SilenceProbe, StreamActivity } from './silence-probe.ts';
import { ownMethods } from './wire/methods.ts';

/** The token of a client's user, kept from member to member. */
export interface AuthState {
  token: string | undefined;
}

export interface OpenMemberOptions {
  readonly settings: ClientSettings;
  readonly endpoint: Endpoint;
  readonly auth: AuthState;
  /** How often a connection failed in a row before. */
  readonly failures: number;
  readonly scheduler: SchedulerLike;
  readonly timers: TimerQueue;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Connected, and authenticated if need be. */
  readonly onUp: (member: Member) => void;
  /** Up, and to end soon. */
  readonly onDraining: () => void;
  /** It could not be had, or is lost. Told once, and nothing after it. */
  readonly onLost: (error: unknown) => void;
}

const AUTHENTICATE_TIMEOUT_MS = 10_000;

/** One connection to one member, from the first attempt to its end. */
export class OpenMember {
  /** Since when it answers; `Infinity` before its first answer. */
  healthySinceMs: number = Infinity;
  readonly #options: OpenMemberOptions;
  #channel: Channel | undefined;
  #client: GrpcClient | undefined;
  readonly #watchStream: StreamActivity;
  #probe: SilenceProbe | undefined;
  #authentication: Subscription | undefined;
  #isUp = false;
  #isOver = false;
  /** Many calls can find the token expired at once: one authentication serves them all. */
  readonly #renewal$: Observable<string | undefined>;

  constructor(options: OpenMemberOptions) {
    this.#options = options;
    this.#watchStream = new StreamActivity(options.nowMs);
    this.#renewal$ = this.#authenticate$().pipe(share());
  }

  open(): void {
    const { settings, endpoint, failures, timers } = this.#options;
    try {
      this.#channel = openChannel(
        { settings, endpoint, failures, timers },
        {
          onReady: () => {
            this.#onReady();
          },
          onDraining: () => {
            if (this.#isUp) this.#options.onDraining();
            else
              this.#lose(new EtcdFault('connection', `${endpoint.name} ended the connection as soon as it was made`));
          },
          onFailed: (error) => {
            this.#lose(error);
          },
        },
      );
    } catch (error) {
      // A function of the user's threw.
      queueMicrotask(() => {
        this.#lose(error);
      });
    }
  }

  close(): void {
    this.#isOver = true;
    this.#probe?.stop();
    this.#authentication?.unsubscribe();
    this.#channel?.close();
  }

  #onReady(): void {
    const { settings, auth } = this.#options;
    const observers = new Map([[ownMethods.watch.path, this.#watchStream]]);
    this.#client = grpcClientOf(this.#channel as Channel, settings.headers, observers);
    const isAuthenticated = settings.auth === undefined || auth.token !== undefined;
    const token$ = isAuthenticated ? of(auth.token) : this.#renewal$;
    this.#authentication = token$.subscribe({
      next: () => {
        this.#up();
      },
      error: (error: unknown) => {
        this.#lose(error);
      },
    });
  }

  #up(): void {
    if (this.#isOver || this.#isUp) return;
    const { endpoint, scheduler, random, auth, timers } = this.#options;
    const lose = (fault: EtcdFault): void => {
      this.#lose(fault);
    };
    const member = grpcMember({
      host: endpoint.name,
      client: this.#client as GrpcClient,
      methods: ownMethods,
      scheduler,
      random,
      token: () => auth.token,
      renewToken$: (stale) => this.#renewToken$(stale),
      onFault: lose,
      onAnswer: () => {
        if (this.healthySinceMs === Infinity) this.healthySinceMs = this.#options.nowMs();
      },
    });
    this.#isUp = true;
    this.#probe = new SilenceProbe({ member, watchStream: this.#watchStream, scheduler, timers, onSilent: lose });
    this.#options.onUp(member);
  }

  #lose(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.close();
    this.#options.onLost(error);
  }

  #renewToken$(stale: string | undefined): Observable<string | undefined> {
    const { auth, settings } = this.#options;
    return defer(() => {
      if (auth.token !== stale) return of(auth.token);
      return settings.auth === undefined ? throwError(noCredentials) : this.#renewal$;
    });
  }

  #authenticate$(): Observable<string | undefined> {
    const { auth, settings, scheduler } = this.#options;
    return defer(() =>
      unary$<{ token: string }>(
        this.#client as GrpcClient,
        ownMethods.authenticate,
        { name: settings.auth?.username, password: settings.auth?.password },
        {},
        AUTHENTICATE_TIMEOUT_MS,
        () => scheduler.now(),
      ),
    ).pipe(
      map(({ token }) => (auth.token = usableToken(token))),
      catchError((error: unknown) => {
        // As etcd's own client: credentials are not needed as long as authentication is off.
        if (toFault(error).message.includes('authentication is not enabled')) return of(undefined);
        return throwError(() => error);
      }),
    );
  }
}

function noCredentials(): EtcdFault {
  return new EtcdFault('unauthenticated', 'etcd asks for authentication, and the client has no `auth` option');
}

/** The token, or a thrown fault: kept, one that no header can carry would fail every call, and never be asked for again. */
function usableToken(token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new EtcdFault('connection', 'the member gave an auth token that no header can carry', {
    code: 'invalid-answer',
  });
}
