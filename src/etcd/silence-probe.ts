import { Subscription, catchError, map, merge, of, take, timer, type SchedulerLike } from 'rxjs';
import type { QueuedTimer, TimerQueue } from '../time/timer-queue.ts';
import { EtcdFault, toFault } from './faults.ts';
import type { KeyRange, Member } from './member.ts';

/** What goes over a stream, as far as it tells whether the stream works. */
export class StreamActivity {
  /** When it was opened, or the last message came. */
  heardMs = 0;
  /** Of the last watch that was created on it. */
  key: Uint8Array | undefined;
  onChange: (isOpen: boolean) => void = () => undefined;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  opened(): void {
    this.heard();
    this.onChange(true);
  }

  closed(): void {
    this.onChange(false);
  }

  heard(): void {
    this.heardMs = this.#nowMs();
  }

  wrote(request: object): void {
    const { create_request } = request as { readonly create_request?: { readonly key: Uint8Array } };
    if (create_request !== undefined) this.key = create_request.key;
  }
}

export interface SilenceProbeOptions {
  readonly member: Member;
  readonly watchStream: StreamActivity;
  readonly scheduler: SchedulerLike;
  readonly timers: TimerQueue;
  readonly onSilent: (fault: EtcdFault) => void;
}

/** A watch stream that was quiet for so long is asked whether it still works. */
const QUIET_MS = 15_000;

/** Bound of the answers. */
const ANSWER_MS = 5000;

/**
 * Asks a watch stream that is quiet whether etcd still hears it: something between may answer pings for an etcd that is
 * frozen, and keep its streams open. So nothing that is told as `live` is older than {@link QUIET_MS} and
 * {@link ANSWER_MS} together.
 *
 * A watch on a single key is created on the same stream and cancelled: that is always answered, which progress requests
 * are not (not by 3.5.8 and later while a watch waits for a future revision, not through grpc-proxy). A linearizable
 * read of that key beside it finds a proxy that answers for itself. A refusal is an answer too.
 */
export class SilenceProbe implements QueuedTimer {
  dueMs: number | undefined = undefined;
  readonly #options: SilenceProbeOptions;
  #asked: Subscription | undefined;

  constructor(options: SilenceProbeOptions) {
    this.#options = options;
    options.watchStream.onChange = (isOpen) => {
      if (isOpen) options.timers.set(this, QUIET_MS);
      else options.timers.cancel(this);
    };
  }

  stop(): void {
    this.#options.timers.cancel(this);
    this.#asked?.unsubscribe();
  }

  fire(): void {
    const { watchStream, timers } = this.#options;
    const quietMs = timers.nowMs() - watchStream.heardMs;
    const { key } = watchStream;
    if (quietMs < QUIET_MS - 1) timers.set(this, QUIET_MS - quietMs);
    else {
      timers.set(this, QUIET_MS);
      if (key !== undefined && this.#asked?.closed !== false) this.#ask(key);
    }
  }

  #ask(key: Uint8Array): void {
    const { member, scheduler, timers, onSilent } = this.#options;
    const range: KeyRange = { key, namespaceBytes: 0 };
    let missing = 2;
    const sentMs = timers.nowMs();
    const answer = catchError((error: unknown) => (toFault(error).kind === 'connection' ? [] : of(undefined)));
    const answer$ = merge(
      member.watch$({ range, startRevision: 0 }).pipe(
        take(1),
        map(() => undefined),
        answer,
      ),
      member.fingerprint$(range).pipe(
        map(() => undefined),
        answer,
      ),
    );
    // Made first: an answer may come while it is subscribed.
    const asked = new Subscription();
    asked.add(
      answer$.subscribe(() => {
        missing -= 1;
        if (missing === 0) asked.unsubscribe();
      }),
    );
    asked.add(
      timer(ANSWER_MS, scheduler).subscribe(() => {
        asked.unsubscribe();
        // Late itself: this process did not run, and what came meanwhile is not read yet.
        if (timers.nowMs() - sentMs > ANSWER_MS + 1000) return;
        const details = `etcd answers nothing on the watch stream for ${ANSWER_MS} ms, though the connection stands`;
        onSilent(new EtcdFault('connection', details));
      }),
    );
    this.#asked = asked;
  }
}
