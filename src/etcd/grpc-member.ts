import { catchError, concatMap, defer, map, of, throwError, type Observable, type SchedulerLike } from 'rxjs';
import { limitConcurrency } from './limit-concurrency.ts';
import { defaultCallOptionsOf, type Methods } from './etcd3-client.ts';
import { EtcdFault, toFault } from './faults.ts';
import { keepAliveStream } from './keepalive-stream.ts';
import { listPages$, rangeFields, type RangeCall } from './list-pages.ts';
import type {
  Fingerprint,
  KeyRange,
  Member,
  TxnCompare,
  TxnOperation,
  TxnRequest,
  WatchMessage,
  WatchRequest,
} from './member.ts';
import { steadyClock } from '../time/steady-clock.ts';
import { unary$, withMetadata, type CallOptions, type Duplex, type GrpcClient, type MethodDefinition } from './rpc.ts';
import { watchStream } from './watch-stream.ts';
import { unreadable, type RangeResponse, type WireFormat } from './wire/messages.ts';
import { ownFormat } from './wire/own.ts';
import { toEntry, type StockKeyValue } from './wire/stock.ts';

/**
 * Bound of a call. A member that lost its quorum answers "request timed out" after 7 s by default; past
 * that, nobody is answering.
 */
const CALL_TIMEOUT_MS = 10_000;

/** Calls under way at once: enough to fill a far connection, few enough to be answered within their time, and to end young. */
const MAX_CALLS = 64;

export interface GrpcMemberOptions {
  readonly host: string;
  readonly client: GrpcClient;
  readonly methods: Methods;
  readonly pool: object;
  readonly scheduler: SchedulerLike;
  readonly random: () => number;
  /** The present auth token, `undefined` where the client has no credentials. */
  readonly token: () => string | undefined;
  /** A fresh token, when `stale` is no longer accepted. */
  readonly renewToken$: (stale: string | undefined) => Observable<string | undefined>;
  /** Told of a fault of a stream or call that speaks against the whole member. */
  readonly onFault: (fault: EtcdFault) => void;
  /** Told of every answer. */
  readonly onAnswer: () => void;
  /** How watch and range answers are read. Default: our own way. */
  readonly format?: WireFormat;
}

/** The calls and streams of one connection to one member. */
export function grpcMember(options: GrpcMemberOptions): Member {
  const { client, methods, scheduler, onAnswer, onFault, format = ownFormat } = options;

  // Outermost: nothing of a call is made before its turn. What waits for long, and is old when the call is made, would
  // keep the memory of the call until the next full collection.
  const gate$ = limitConcurrency(MAX_CALLS);

  const callOptions = (method: MethodDefinition, isStream: boolean): CallOptions => {
    const [, service = '', name = ''] = /^\/etcdserverpb\.(\w+)\/(\w+)$/.exec(method.path) ?? [];
    const defaults = defaultCallOptionsOf(options.pool, service, name, isStream);
    const token = options.token();
    const metadata = { ...(token !== undefined && { token }), ...(isStream && { hasleader: 'true' }) };
    return { ...defaults, interceptors: [...(defaults.interceptors ?? []), withMetadata(metadata)] };
  };

  const call$ = <A, R = A>(
    method: MethodDefinition,
    request: object,
    read: (answer: A) => R = (answer) => answer as unknown as R,
  ): Observable<R> => {
    const used = options.token();
    const once$ = defer(() =>
      unary$<A>(client, method, request, callOptions(method, false), CALL_TIMEOUT_MS, () => scheduler.now()),
    );
    return once$.pipe(
      catchError((error: unknown) => {
        if (toFault(error).kind !== 'token') return throwError(() => error);
        return options.renewToken$(used).pipe(concatMap(() => once$));
      }),
      map((answer) => {
        onAnswer();
        return read(answer);
      }),
      catchError((error: unknown) => {
        const fault = toFault(error);
        // A token refused anew is cured by another connection, which authenticates again.
        if (fault.kind === 'connection' || fault.kind === 'token' || fault.kind === 'unauthenticated') onFault(fault);
        return throwError(() => fault);
      }),
    );
  };

  // Read here rather than by grpc, so that bytes that are no message are a fault like any other.
  const range$: RangeCall = (request, read) =>
    gate$(() =>
      call$({ ...methods.range, responseDeserialize: asBytes }, request, (bytes: Buffer) => {
        try {
          return read(format.rangeResponse(bytes));
        } catch (error) {
          throw unreadable('range response', error);
        }
      }),
    );

  const duplex = (method: MethodDefinition): Duplex => {
    try {
      const stream = client.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        callOptions(method, true),
      );
      return cancelledForSure(stream, scheduler);
    } catch (error) {
      const fault = toFault(error);
      onFault(fault);
      throw fault;
    }
  };

  const streamed = { onFault, onAnswer };
  const watch$ = watchStream({
    ...streamed,
    open: () => duplex({ ...methods.watch, responseDeserialize: asBytes }),
    read: (bytes) => format.watchResponse(bytes),
    refused$: (fault, request) => recheckDenied$(fault, request, count$, onFault),
  });
  const keepAlive$ = keepAliveStream({
    ...streamed,
    open: () =>
      duplex({
        ...methods.leaseKeepAlive,
        requestSerialize: (request) => format.keepAliveRequest(request as { readonly ID: string }),
        responseDeserialize: (bytes) => format.keepAliveResponse(bytes),
      }),
    scheduler,
    steadyNowMs: steadyClock(scheduler),
    random: options.random,
  });

  const count$ = (range: KeyRange): Observable<unknown> =>
    range$({ ...rangeFields(range), count_only: true, limit: 1 }, ({ count }) => count);

  return {
    host: options.host,
    keepAlive$,
    list$: (range, revision) => listPages$(range$, range, revision),
    fingerprint$: (range, revision = 0, keysUpTo = 0) =>
      range$({ ...rangeFields(range), revision, limit: 1, sort_order: 'Descend', sort_target: 'Mod' }, (response) =>
        fingerprint(response, range),
      ).pipe(
        concatMap((answer) => {
          if (answer.count === 0 || answer.count > keysUpTo) return of(answer);
          // At the very same revision, so that the two answers are one.
          const request = { ...rangeFields(range), revision: revision || answer.revision, keys_only: true };
          return range$(request, (response) => ({ ...answer, keys: response.readEntries(range.namespaceBytes) }));
        }),
      ),
    watch$,
    grant$: (ttlSeconds, leaseId) =>
      gate$(() =>
        call$<GrantAnswer>(methods.leaseGrant, { TTL: ttlSeconds, ID: leaseId }).pipe(
          map(({ ID, TTL, error }) => {
            if (error !== '') throw toFault(new Error(error));
            return { leaseId: ID, ttlSeconds: Number(TTL) };
          }),
        ),
      ),
    revoke$: (leaseId) =>
      gate$(() =>
        call$(methods.leaseRevoke, { ID: leaseId }).pipe(
          map(() => undefined),
          catchError((error: unknown) =>
            toFault(error).kind === 'lease-gone' ? of(undefined) : throwError(() => error),
          ),
        ),
      ),
    txn$: (request) => gate$(() => txn$((body) => call$<StockTxnResponse>(methods.txn, body), request)),
  };
}

/**
 * A create on a stream whose token has expired is refused as if the user had no right to it (etcd 3.4). A
 * call renews the token, so its answer tells the two apart.
 */
function recheckDenied$(
  fault: EtcdFault,
  request: WatchRequest,
  count$: (range: KeyRange) => Observable<unknown>,
  onFault: (fault: EtcdFault) => void,
): Observable<WatchMessage> {
  return count$(request.range).pipe(
    concatMap(() => {
      const expired = new EtcdFault('token', `the token of the watch stream is no longer valid: ${fault.message}`, {
        cause: fault,
      });
      onFault(expired);
      return throwError(() => expired);
    }),
  );
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}

function fingerprint(response: RangeResponse, range: KeyRange): Fingerprint {
  const { count, revision } = response;
  return { count, newest: response.readEntries(range.namespaceBytes)[0], revision };
}

interface GrantAnswer {
  readonly ID: string;
  readonly TTL: string;
  readonly error: string;
}

interface StockTxnResponse {
  readonly header: { readonly revision: string } | null;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: { readonly kvs: readonly StockKeyValue[] } | null }[];
}

function txn$(call$: (body: object) => Observable<StockTxnResponse>, request: TxnRequest): ReturnType<Member['txn$']> {
  const body = {
    compare: request.when.map(compareFields),
    success: request.then.map(operationFields),
    failure: (request.otherwise ?? []).map(operationFields),
  };
  return call$(body).pipe(
    map((response) => {
      const { succeeded } = response;
      const operations = succeeded ? request.then : (request.otherwise ?? []);
      return {
        succeeded,
        revision: Number(response.header?.revision ?? 0),
        // As many as there are: how many there should be is for the caller to check, who knows what it is worth.
        results: response.responses.map((each, index) => {
          const operation = operations[index];
          if (operation?.type !== 'get') return [];
          const found = each.response_range;
          if (found === undefined || found === null) throw unreadable('transaction response', 'a range is missing');
          return found.kvs.map((kv) => toEntry(kv, operation.range.namespaceBytes));
        }),
      };
    }),
  );
}

function compareFields(compare: TxnCompare): object {
  const base = { key: compare.key, result: 'Equal' };
  switch (compare.target) {
    case 'create':
      return { ...base, target: 'Create', create_revision: compare.equals };
    case 'mod':
      return { ...base, target: 'Mod', mod_revision: compare.equals };
    case 'lease':
      return { ...base, target: 'Lease', lease: compare.equals };
  }
}

function operationFields(operation: TxnOperation): object {
  switch (operation.type) {
    case 'put':
      return { request_put: { key: operation.key, value: operation.value, lease: operation.leaseId ?? 0 } };
    case 'delete':
      return { request_delete_range: { key: operation.key } };
    case 'get':
      return { request_range: rangeFields(operation.range) };
  }
}

/**
 * grpc-js opens a stream some microtasks after it was asked to, and a cancel that comes before that is lost: the stream
 * opens all the same, and keeps the server's watcher and this process. So it is cancelled once more.
 */
function cancelledForSure(stream: Duplex, scheduler: SchedulerLike): Duplex {
  const cancel = stream.cancel.bind(stream);
  stream.cancel = () => {
    cancel();
    scheduler.schedule(cancel);
  };
  return stream;
}
