import type { CallInterceptor, CallListener, ServerCall } from '../wire/grpc-server.ts';
import type { EtcdMethod, RequestOf } from '../wire/methods.ts';
import type { ServerClock } from './clock.ts';
import { etcdError } from './etcd-errors.ts';

/** After so long a member without a leader gives a request up, as etcd does by default. */
const REQUEST_TIMEOUT_MS = 7000;

/** After so long it ends the streams that ask for a leader. */
const NO_LEADER_AFTER_MS = 2000;

/** Whether a member has a leader, as its clients see it: no consensus stands behind it. */
export class Leadership {
  readonly #clock: ServerClock;
  readonly #streams = new Set<ServerCall<'Watch'> | ServerCall<'LeaseKeepAlive'>>();
  #regained: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(clock: ServerClock) {
    this.#clock = clock;
  }

  get isLost(): boolean {
    return this.#regained !== undefined;
  }

  /** Writes and linearizable reads time out, watches hear nothing, and streams that ask for a leader end. */
  lose(): void {
    if (this.#regained !== undefined) return;
    let resolve = (): void => undefined;
    const promise = new Promise<void>((done) => (resolve = done));
    this.#regained = { promise, resolve };
    this.#clock.after(NO_LEADER_AFTER_MS, () => {
      if (!this.isLost) return;
      for (const call of this.#streams) call.fail(etcdError('noLeader'));
    });
  }

  /** What watches did not hear is told now. */
  regain(): void {
    this.#regained?.resolve();
    this.#regained = undefined;
  }

  /** Ends a stream that asks for a leader when there is none. */
  guard<M extends 'Watch' | 'LeaseKeepAlive'>(call: ServerCall<M>, listener: CallListener<M>): CallListener<M> {
    if (call.headers['hasleader'] !== 'true') return listener;
    const stream = call as unknown as ServerCall<'Watch'>;
    if (this.isLost) stream.fail(etcdError('noLeader'));
    this.#streams.add(stream);
    return {
      ...listener,
      closed: () => {
        this.#streams.delete(stream);
        listener.closed();
      },
    };
  }

  /** Holds requests and answers of a member without a leader back. */
  intercept(inner: CallInterceptor): CallInterceptor {
    return {
      request: (call, request) => {
        const waits = inner.request(call, request);
        if (!this.isLost || isServedAlone(call.method, request)) return waits;
        return Promise.all([waits, this.#timeout()]).then(() => undefined);
      },
      answer: (call, answer, request) => {
        const messages = inner.answer(call, answer, request);
        if (this.#regained === undefined || call.method !== 'Watch') return messages;
        return this.#regained.promise.then(() => messages);
      },
    };
  }

  #timeout(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(REQUEST_TIMEOUT_MS, () => {
        reject(etcdError('timeout'));
      });
      void this.#regained?.promise.then(() => {
        cancel();
        resolve();
      });
    });
  }
}

function isServedAlone<M extends EtcdMethod>(method: M, request: RequestOf<M>): boolean {
  if (method === 'Range') return (request as RequestOf<'Range'>).serializable;
  return method === 'Watch' || method === 'Status' || method === 'MemberList' || method === 'LeaseLeases';
}
