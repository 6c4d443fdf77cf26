import {
  EMPTY,
  catchError,
  concatMap,
  defer,
  map,
  of,
  throwError,
  timer,
  type Observable,
  type SchedulerLike,
} from 'rxjs';
import { limitConcurrency } from './limit-concurrency.ts';
import { EtcdFault, toFault, withoutSecret } from './faults.ts';
import { keepAliveStream } from './keepalive-stream.ts';
import { listPages$, rangeFields, type RangeCall } from './list-pages.ts';
import {
  MAX_TTL_SECONDS,
  type Fingerprint,
  type KeyRange,
  type Member,
  type TxnCompare,
  type TxnOperation,
  type TxnRequest,
  type WireEntry,
} from './member.ts';
import { isInRange } from './keys.ts';
import { steadyClock } from '../time/steady-clock.ts';
import { unary$, type CallOptions, type Duplex, type GrpcClient, type MethodDefinition, type Methods } from './rpc.ts';
import { watchStream } from './watch-stream.ts';
import { OUT_OF_RANGE, contradiction, unreadable, type RangeResponse, type WireFormat } from './wire/messages.ts';
import { ownFormat } from './wire/own.ts';
import { toEntry, type KeyValueMessage } from './wire/answers.ts';

/**
 * Bound of a call. A member that lost its quorum answers "request timed out" after 7 s by default; past
 * that, nobody is answering.
 */
const CALL_TIMEOUT_MS = 10_000;

/** After which etcd is asked again whether a user by certificate may: its users or roles had just changed. */
const AUTH_CHANGE_MS = 100;

/** Calls under way at once: enough to fill a far connection, few enough to be answered within their time, and to end young. */
const MAX_CALLS = 64;

export interface GrpcMemberOptions {
  readonly host: string;
  readonly client: GrpcClient;
  readonly methods: Methods;
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
    const token = options.token();
    const metadata = { ...(token !== undefined && { token }), ...(isStream && { hasleader: 'true' }) };
    return { metadata, isLong: method.path === methods.range.path };
  };

  const call$ = <A, R = A>(
    method: MethodDefinition,
    request: object,
    read: (answer: A) => R = (answer) => answer as unknown as R,
  ): Observable<R> => {
    const used = options.token();
    const sort = sortWith(used);
    const once$ = defer(() =>
      unary$<A>(client, method, request, callOptions(method, false), CALL_TIMEOUT_MS, () => scheduler.now()),
    );
    return once$.pipe(
      catchError((error: unknown) => {
        const fault = toFault(error);
        if (fault.kind !== 'token' && fault.kind !== 'auth-revision') return throwError(() => fault);
        return freshToken$(used, fault).pipe(concatMap(() => once$));
      }),
      map((answer) => {
        onAnswer();
        return read(answer);
      }),
      catchError((error: unknown) => {
        const fault = sort(error);
        // A token that is refused again is cured by another connection, which authenticates again.
        if (fault.kind === 'connection' || fault.kind === 'token' || fault.kind === 'unauthenticated') onFault(fault);
        return throwError(() => fault);
      }),
    );
  };

  /** A token may stand in the text of an error, and one that was renewed meanwhile in an older error. */
  const sortWith =
    (used: string | undefined) =>
    (error: unknown): EtcdFault =>
      withoutSecret(withoutSecret(toFault(error), used), options.token());

  /** Emits once when a request refused with this token, or with none, can be made again. */
  const freshToken$ = (used: string | undefined, { kind }: EtcdFault): Observable<unknown> =>
    used === undefined && kind === 'auth-revision' ? timer(AUTH_CHANGE_MS, scheduler) : options.renewToken$(used);

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
    const used = callOptions(method, true);
    try {
      return client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, used);
    } catch (error) {
      const fault = sortWith(options.token())(error);
      if (fault.kind !== 'callback-failed') onFault(fault);
      throw fault;
    }
  };

  const steadyNowMs = steadyClock(scheduler);
  const streamed = {
    onFault,
    onAnswer,
    scheduler,
    steadyNowMs,
    sort: (error: unknown) => sortWith(options.token())(error),
  };
  let keepAliveToken: string | undefined;
  const watch$ = watchStream({
    ...streamed,
    open: () => duplex({ ...methods.watch, responseDeserialize: asBytes }),
    read: (bytes) => format.watchResponse(bytes),
    refused$: (fault, { range }) => recheckDenied$(fault, count$(range), options.token() !== undefined),
  });
  const keepAlive$ = keepAliveStream({
    ...streamed,
    open: () => {
      keepAliveToken = options.token();
      return duplex({
        ...methods.leaseKeepAlive,
        requestSerialize: (request) => format.keepAliveRequest(request as { readonly ID: string }),
        responseDeserialize: (bytes) => format.keepAliveResponse(bytes),
      });
    },
    renewToken$: (fault) => freshToken$(keepAliveToken, fault),
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
          return range$(request, (response) => {
            if (response.entryCount !== answer.count || response.more)
              throw contradiction(`${response.entryCount} keys where ${answer.count} were counted`);
            return { ...answer, keys: response.readEntries(range) };
          });
        }),
      ),
    watch$,
    grant$: (ttlSeconds, leaseId) =>
      gate$(() =>
        call$<GrantAnswer>(methods.leaseGrant, { TTL: ttlSeconds, ID: leaseId }).pipe(
          map((answer) => {
            const { ID, TTL, error } = answer as Partial<GrantAnswer>;
            if (typeof error === 'string' && error !== '') throw toFault(new Error(error));
            const granted = Number(TTL);
            if (ID !== leaseId || !(granted > 0 && granted <= MAX_TTL_SECONDS))
              throw contradiction(`a grant of lease ${String(ID)} for ${String(TTL)} s, asked for ${leaseId}`);
            return { leaseId, ttlSeconds: granted };
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
 * call renews the token, so its answer tells the two apart: completes when another stream will do.
 */
function recheckDenied$(fault: EtcdFault, count$: Observable<unknown>, hasToken: boolean): Observable<never> {
  return count$.pipe(
    concatMap(() => {
      // Without a token the two answers differ by when they were given.
      if (hasToken) return EMPTY;
      return throwError(() => new EtcdFault('busy', fault.message, { code: 'token-expired', cause: fault }));
    }),
  );
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}

function fingerprint(response: RangeResponse, range: KeyRange): Fingerprint {
  const { count, entryCount, revision } = response;
  if (!(revision > 0) || entryCount > 1 || entryCount > count || (count > 0 && entryCount === 0))
    throw contradiction(`the newest of ${count} keys in an answer of ${entryCount}, at revision ${revision}`);
  return { count, newest: response.readEntries(range)[0], revision };
}

interface GrantAnswer {
  readonly ID: string;
  readonly TTL: string;
  readonly error: string;
}

interface StockTxnResponse {
  readonly header: { readonly revision: string } | null;
  readonly succeeded: boolean;
  readonly responses: readonly TxnResult[];
}

interface TxnResult {
  readonly response_range?: { readonly kvs: readonly KeyValueMessage[] } | null;
  readonly response_put?: object | null;
  readonly response_delete_range?: object | null;
}

function txn$(call$: (body: object) => Observable<StockTxnResponse>, request: TxnRequest): ReturnType<Member['txn$']> {
  const body = {
    compare: request.when.map(compareFields),
    success: request.then.map(operationFields),
    failure: (request.otherwise ?? []).map(operationFields),
  };
  return call$(body).pipe(
    map((response) => {
      const operations = response.succeeded ? request.then : (request.otherwise ?? []);
      const revision = Number(response.header?.revision ?? 0);
      if (!(revision > 0)) throw contradiction('a transaction without a revision');
      if (response.responses.length !== operations.length)
        throw contradiction(
          `a transaction of ${operations.length} operations with ${response.responses.length} answers`,
        );
      return {
        succeeded: response.succeeded,
        revision,
        results: operations.map((operation, index) =>
          txnEntries(operation, response.responses[index] as TxnResult, revision),
        ),
      };
    }),
  );
}

/** What an operation of a transaction found; its answer is held against it. */
function txnEntries(operation: TxnOperation, result: TxnResult, revision: number): WireEntry[] {
  const answer =
    operation.type === 'get'
      ? result.response_range
      : operation.type === 'put'
        ? result.response_put
        : result.response_delete_range;
  if (answer === undefined || answer === null) throw contradiction(`no answer to a ${operation.type}`);
  if (operation.type !== 'get') return [];
  const { range } = operation;
  return (result.response_range?.kvs ?? []).map((kv) => {
    if (!isInRange(kv.key, 0, kv.key.length, range)) throw contradiction(OUT_OF_RANGE);
    if (!(Number(kv.mod_revision) <= revision)) throw contradiction(`an entry that is not of revision ${revision}`);
    return toEntry(kv, range.namespaceBytes);
  });
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
