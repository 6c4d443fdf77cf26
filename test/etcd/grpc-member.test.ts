import { Subject, VirtualTimeScheduler, of, type Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { grpcMember, type GrpcMemberOptions } from '../../src/etcd/grpc-member.ts';
import { RxEtcdError, callbackFailed } from '../../src/errors.ts';
import { fatalError, type EtcdFault } from '../../src/etcd/faults.ts';
import type { ConnectionState } from '../../src/etcd/member.ts';
import { fakeClient, fakeDuplex, fakeMethods, grpcError, type Answer } from './fakes.ts';

const range = { key: Uint8Array.of(97), namespaceBytes: 0 };
const invalidToken = grpcError(16, 'etcdserver: invalid auth token');

interface Given {
  readonly onCall?: (method: string) => Answer | undefined;
  readonly onStream?: () => ReturnType<typeof fakeDuplex>;
  readonly renewToken$?: GrpcMemberOptions['renewToken$'];
  readonly token?: string | undefined;
}

function memberOf(given: Given) {
  const { onCall = () => undefined, onStream = fakeDuplex, renewToken$ = () => of('new') } = given;
  const token = 'token' in given ? given.token : 'old';
  const scheduler = new VirtualTimeScheduler();
  const faults: EtcdFault[] = [];
  const member = grpcMember({
    host: 'fake:2379',
    client: fakeClient(onCall, onStream),
    methods: fakeMethods,
    scheduler,
    random: () => 0.5,
    token: () => token,
    renewToken$,
    onFault: (fault) => faults.push(fault),
    onAnswer: () => undefined,
  });
  return { member, faults, scheduler };
}

test('a token that is refused also after its renewal speaks against the member: nobody would make another one', () => {
  const { member, faults } = memberOf({ onCall: () => ({ error: invalidToken }) });
  const errors: unknown[] = [];
  member.fingerprint$(range).subscribe({ error: (error: unknown) => errors.push(error) });
  expect(errors).toHaveLength(1);
  expect(faults.map(({ kind }) => kind)).toEqual(['token']);
});

test('a token is renewed once for a call, and the call asked again, without a fault of the member', () => {
  const answers: Answer[] = [{ error: invalidToken }, { answer: { ID: '7', TTL: '10', error: '' } }];
  const { member, faults } = memberOf({ onCall: () => answers.shift() });
  const granted: unknown[] = [];
  member.grant$(10, '7').subscribe((lease) => granted.push(lease));
  expect(granted).toEqual([{ leaseId: '7', ttlSeconds: 10 }]);
  expect(faults).toEqual([]);
});

test('a stream that cannot even be opened speaks against the member', () => {
  const { member, faults } = memberOf({
    onStream: () => {
      throw new Error('Channel has been shut down');
    },
  });
  const errors: unknown[] = [];
  const error = (failure: unknown): void => void errors.push(failure);
  member.watch$({ range, startRevision: 1 }).subscribe({ error });
  member.keepAlive$('7', 10, 0).subscribe({ error });
  expect(errors).toHaveLength(2);
  expect(faults.map(({ kind }) => kind)).toEqual(['connection', 'connection']);
});

test('a stream refused with a token is a fault of the member, also when calls go on', () => {
  const duplex = fakeDuplex();
  const { member, faults } = memberOf({ onStream: () => duplex });
  member.watch$({ range, startRevision: 1 }).subscribe({ error: () => undefined });
  duplex.fail(invalidToken);
  expect(faults.map(({ kind }) => kind)).toEqual(['token']);
});

test('a prefix does not wait for ever for the successor of a member that nobody gave up', () => {
  const scheduler = new VirtualTimeScheduler();
  const { member } = memberOf({ onCall: () => ({ error: invalidToken }) });
  const member$ = new Subject<ConnectionState>();
  const states: PrefixState<string>[] = [];
  watchRange$<string>({ member$ }, range, { scheduler, random: () => 0.5, maxRetries: 3 }).subscribe({
    next: (state) => states.push(state),
    error: (error: { code: string }) => states.push(error.code as never),
  });
  member$.next({ status: 'up', member });
  scheduler.flush();
  expect(states.at(-1)).toBe('retries-exhausted');
});

/** What a call ends with. */
function outcome<T>(call$: Observable<T>): { values: T[]; error: EtcdFault | undefined } {
  const seen: { values: T[]; error: EtcdFault | undefined } = { values: [], error: undefined };
  call$.subscribe({
    next: (value) => seen.values.push(value),
    error: (error: EtcdFault) => {
      seen.error = error;
    },
  });
  return seen;
}

describe('users or roles that were just changed', () => {
  const changed = grpcError(3, 'etcdserver: revision of auth store is old');
  const granted: Answer = { answer: { ID: '7', TTL: '10', error: '' } };

  test('a user by certificate is asked for again, and not refused for good', () => {
    const answers: Answer[] = [{ error: changed }, granted];
    const { member, faults, scheduler } = memberOf({ token: undefined, onCall: () => answers.shift() });
    const seen = outcome(member.grant$(10, '7'));
    scheduler.flush();
    expect(seen.values).toEqual([{ leaseId: '7', ttlSeconds: 10 }]);
    expect(faults).toEqual([]);
  });

  test('again and again, it is a fault that passes, of that request alone', () => {
    let calls = 0;
    const onCall = (): Answer => {
      calls += 1;
      return { error: changed };
    };
    const { member, faults, scheduler } = memberOf({ token: undefined, onCall });
    const seen = outcome(member.grant$(10, '7'));
    scheduler.flush();
    expect(calls).toBe(2);
    expect(fatalError(seen.error as EtcdFault)).toBeUndefined();
    expect(faults).toEqual([]);
  });
});

describe('an answer that contradicts its request is not believed', () => {
  const put = { type: 'put', key: Uint8Array.of(97), value: Uint8Array.of(1), leaseId: '7' } as const;
  const get = { type: 'get', range } as const;
  const kv = { key: Uint8Array.of(97), value: Uint8Array.of(), create_revision: '1', mod_revision: '3', lease: '7' };
  const done = { header: { revision: '5' }, succeeded: true };

  test.each<[string, unknown]>([
    ['of another lease', { ID: '8', TTL: '10', error: '' }],
    ['with a TTL of 0', { ID: '7', TTL: '0', error: '' }],
    ['with a negative TTL', { ID: '7', TTL: '-1', error: '' }],
    ['with a TTL that is no number', { ID: '7', TTL: 'soon', error: '' }],
    ['with a TTL longer than any', { ID: '7', TTL: '9223372036854775807', error: '' }],
    ['that is empty', {}],
  ])('a grant %s', (_, answer) => {
    const { member, faults } = memberOf({ onCall: () => ({ answer }) });
    expect(outcome(member.grant$(10, '7')).error).toMatchObject({ kind: 'busy', code: 'invalid-answer' });
    expect(faults).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['without a header', { header: null, succeeded: true, responses: [] }],
    ['without a revision', { ...done, header: { revision: '0' }, responses: [] }],
    ['that is empty', { header: null, succeeded: false, responses: [] }],
    ['with no answer to its operations', { ...done, responses: [] }],
    ['with too many answers', { ...done, responses: [{}, {}, {}] }],
    [
      'with answers to other operations',
      { ...done, responses: [{ response_range: { kvs: [] } }, { response_put: {} }] },
    ],
    [
      'with an entry of another key',
      { ...done, responses: [{ response_put: {} }, { response_range: { kvs: [{ ...kv, key: Uint8Array.of(98) }] } }] },
    ],
    [
      'with an entry of a later revision',
      { ...done, responses: [{ response_put: {} }, { response_range: { kvs: [{ ...kv, mod_revision: '6' }] } }] },
    ],
  ])('a transaction %s', (_, answer) => {
    const { member, faults } = memberOf({ onCall: () => ({ answer }) });
    const { error, values } = outcome(member.txn$({ when: [], then: [put, get], otherwise: [get] }));
    expect(values).toEqual([]);
    expect(error).toMatchObject({ kind: 'busy', code: 'invalid-answer' });
    expect(faults).toEqual([]);
  });
});

test("a user's function that throws is told, and not taken for a lost connection", () => {
  const { member, faults, scheduler } = memberOf({
    onStream: () => {
      throw callbackFailed('client.headers', new Error('a mistake'));
    },
    onCall: () => ({ error: callbackFailed('client.headers', new Error('a mistake')) }),
  });
  const calls = [
    member.fingerprint$(range),
    member.grant$(10, '7'),
    member.watch$({ range, startRevision: 1 }),
    member.keepAlive$('7', 10, 0),
  ].map((call$) => outcome(call$ as Observable<unknown>));
  scheduler.maxFrames = 100;
  scheduler.flush();
  for (const { error } of calls) {
    const told = error instanceof RxEtcdError ? error : fatalError(error as EtcdFault);
    expect(told).toMatchObject({ code: 'callback-failed' });
  }
  expect(faults).toEqual([]);
});

test('the token stands in no error, also when a front repeats it', () => {
  const token = 'abcdef.42';
  const { member, faults } = memberOf({
    token,
    onCall: () => ({ error: Object.assign(grpcError(14, `bad token ${token}`), { metadata: { token } }) }),
  });
  const { error } = outcome(member.fingerprint$(range));
  expect(textOf(error?.passing)).not.toContain(token);
  expect(error?.passing.message).toContain('bad token');
  expect(textOf(faults[0]?.passing)).not.toContain(token);
});

/** Everything that can be reached from an object. */
function textOf(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (seen.has(value)) return '';
  seen.add(value);
  return Reflect.ownKeys(value)
    .map((key) => `${String(key)}: ${textOf((value as Record<PropertyKey, unknown>)[key], seen)}`)
    .join('\n');
}
