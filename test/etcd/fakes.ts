import type { CallOptions, Duplex, GrpcClient, MethodDefinition, Methods } from '../../src/etcd/rpc.ts';

type Listener = (argument?: unknown) => void;

/** A bidirectional stream under a test's hand. */
export interface FakeDuplex extends Duplex {
  readonly written: Record<string, unknown>[];
  readonly ended: boolean;
  readonly cancelled: boolean;
  data(response: unknown): void;
  fail(error: unknown): void;
  finish(): void;
}

export function fakeDuplex(): FakeDuplex {
  const listeners = new Map<string, Listener[]>();
  const emit = (event: string, argument?: unknown): void => {
    for (const listener of listeners.get(event) ?? []) listener(argument);
  };
  const written: Record<string, unknown>[] = [];
  let ended = false;
  let cancelled = false;
  return {
    written,
    get ended() {
      return ended;
    },
    get cancelled() {
      return cancelled;
    },
    write(request) {
      if (ended) throw new Error('write after end');
      written.push(request as Record<string, unknown>);
      return true;
    },
    end() {
      ended = true;
    },
    cancel() {
      if (cancelled) return;
      cancelled = true;
      // As grpc does, a moment later.
      queueMicrotask(() => {
        emit('error', Object.assign(new Error('1 CANCELLED'), { code: 1 }));
      });
    },
    on(event: string, listener: unknown) {
      listeners.set(event, [...(listeners.get(event) ?? []), listener as Listener]);
      return undefined;
    },
    data: (response) => {
      emit('data', response);
    },
    fail: (error) => {
      emit('error', error);
      emit('end');
    },
    finish: () => {
      emit('end');
    },
  };
}

/** What a fake server says to a unary call: an answer, or an error as grpc's. */
export type Answer = { readonly answer: unknown } | { readonly error: Error };

export function grpcError(code: number, details: string): Error {
  return Object.assign(new Error(`${code}: ${details}`), { code, details });
}

/** A grpc client whose calls are answered by a function, and whose streams are a test's. */
export function fakeClient(
  onCall: (method: string, request: object) => Answer | undefined,
  onStream: () => Duplex,
): GrpcClient {
  return {
    makeUnaryRequest(path, _serialize, _deserialize, request, _options: CallOptions, callback) {
      const said = onCall(path, request);
      if (said !== undefined) {
        if ('error' in said) callback(said.error);
        else callback(null, said.answer);
      }
      return { cancel() {} };
    },
    makeBidiStreamRequest: () => onStream(),
    close() {},
  };
}

const method = (service: string, name: string): MethodDefinition => ({
  path: `/etcdserverpb.${service}/${name}`,
  requestSerialize: () => Buffer.alloc(0),
  responseDeserialize: (bytes) => bytes,
});

export const fakeMethods: Methods = {
  range: method('KV', 'Range'),
  txn: method('KV', 'Txn'),
  watch: method('Watch', 'Watch'),
  leaseGrant: method('Lease', 'LeaseGrant'),
  leaseRevoke: method('Lease', 'LeaseRevoke'),
  leaseKeepAlive: method('Lease', 'LeaseKeepAlive'),
  authenticate: method('Auth', 'Authenticate'),
};
