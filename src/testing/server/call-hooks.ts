import type { CallInterceptor, ServerCall } from '../wire/grpc-server.ts';
import { methods, type EtcdMethod, type RequestOf, type ResponseOf } from '../wire/methods.ts';
import type { PartialMessage } from '../wire/protobuf.ts';

/** What can be sent instead of an answer: a message, the bytes of one, several, or nothing. */
export type AlteredAnswer<M extends EtcdMethod> =
  PartialMessage<ResponseOf<M>> | Uint8Array | readonly (PartialMessage<ResponseOf<M>> | Uint8Array)[] | undefined;

/** See `MemoryEtcd.answer`. */
export type AnswerHook<M extends EtcdMethod> = (
  answer: ResponseOf<M>,
  request: RequestOf<M>,
) => AlteredAnswer<M> | Promise<AlteredAnswer<M>>;

/** See `MemoryEtcd.intercept`. */
export type RequestHook = (request: SeenRequest) => void | Promise<void>;

/** A request as the server got it, tied to its method. */
export type SeenRequest = {
  readonly [M in EtcdMethod]: { readonly method: M; readonly request: RequestOf<M>; readonly member: number };
}[EtcdMethod];

const KEPT_REQUESTS = 10_000;

/** The hooks of a test between the wire and the services. */
export class CallHooks {
  /** The last ten thousand, the oldest first. */
  readonly requests: SeenRequest[] = [];
  readonly #answerHooks = new Map<EtcdMethod, Set<AnswerHook<EtcdMethod>>>();
  readonly #requestHooks = new Set<RequestHook>();
  readonly #onActivity: () => void;

  /** @param onActivity called after each request and each answer. */
  constructor(onActivity: () => void) {
    this.#onActivity = onActivity;
  }

  onAnswer<M extends EtcdMethod>(method: M, hook: AnswerHook<M>): () => void {
    const hooks = this.#answerHooks.get(method) ?? new Set();
    this.#answerHooks.set(method, hooks);
    // The map's key ties the hook to its method.
    const added = hook as unknown as AnswerHook<EtcdMethod>;
    hooks.add(added);
    return () => {
      hooks.delete(added);
    };
  }

  onRequest(hook: RequestHook): () => void {
    this.#requestHooks.add(hook);
    return () => {
      this.#requestHooks.delete(hook);
    };
  }

  clear(): void {
    this.#answerHooks.clear();
    this.#requestHooks.clear();
  }

  interceptorOf(member: number): CallInterceptor {
    return {
      request: (call, request) => this.#seen({ method: call.method, request, member } as SeenRequest),
      answer: (call, answer, request) => this.#alter(call, answer, request),
    };
  }

  #seen(seen: SeenRequest): Promise<void> | undefined {
    this.requests.push(seen);
    if (this.requests.length > KEPT_REQUESTS) this.requests.splice(0, this.requests.length - KEPT_REQUESTS);
    this.#onActivity();
    const waits: Promise<void>[] = [];
    for (const hook of this.#requestHooks) {
      const result = hook(seen);
      if (result instanceof Promise) waits.push(result);
    }
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  #alter<M extends EtcdMethod>(
    call: ServerCall<M>,
    answer: PartialMessage<ResponseOf<M>>,
    request: RequestOf<M>,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const { response } = methods[call.method];
    const bytes = response.encode(answer);
    const hooks = [...(this.#answerHooks.get(call.method) ?? [])];
    this.#onActivity();
    if (hooks.length === 0) return [bytes];
    let altered: readonly Uint8Array[] | Promise<readonly Uint8Array[]> = [bytes];
    for (const hook of hooks) {
      const alter = (messages: readonly Uint8Array[]): readonly Uint8Array[] | Promise<readonly Uint8Array[]> => {
        const results = messages.map((message) => hook(response.decode(message) as never, request as never));
        if (results.some((result) => result instanceof Promise)) {
          return Promise.all(results as Promise<AlteredAnswer<EtcdMethod>>[]).then((all) =>
            all.flatMap((each) => encoded(call.method, each)),
          );
        }
        return results.flatMap((each) => encoded(call.method, each as AlteredAnswer<EtcdMethod>));
      };
      altered = altered instanceof Promise ? altered.then(alter) : alter(altered);
    }
    return altered;
  }
}

function encoded(method: EtcdMethod, altered: AlteredAnswer<EtcdMethod>): Uint8Array[] {
  if (altered === undefined) return [];
  if (altered instanceof Uint8Array) return [altered];
  const each = Array.isArray(altered) ? (altered as readonly unknown[]) : [altered];
  return each.map((one) => (one instanceof Uint8Array ? one : methods[method].response.encode(one as never)));
}
