import { Subject, VirtualTimeScheduler, of } from 'rxjs';
import { expect, test } from 'vitest';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { grpcMember, type GrpcMemberOptions } from '../../src/etcd/grpc-member.ts';
import type { EtcdFault } from '../../src/etcd/faults.ts';
import type { ConnectionState } from '../../src/etcd/member.ts';
import { fakeClient, fakeDuplex, fakeMethods, grpcError, type Answer } from './fakes.ts';

const range = { key: Uint8Array.of(97), namespaceBytes: 0 };
const invalidToken = grpcError(16, 'etcdserver: invalid auth token');

interface Given {
  readonly onCall?: (method: string) => Answer | undefined;
  readonly onStream?: () => ReturnType<typeof fakeDuplex>;
  readonly renewToken$?: GrpcMemberOptions['renewToken$'];
  readonly pool?: object;
}

function memberOf({ onCall = () => undefined, onStream = fakeDuplex, renewToken$ = () => of('new'), pool }: Given) {
  const faults: EtcdFault[] = [];
  const member = grpcMember({
    host: 'fake:2379',
    client: fakeClient(onCall, onStream),
    methods: fakeMethods,
    pool: pool ?? { options: {} },
    scheduler: new VirtualTimeScheduler(),
    random: () => 0.5,
    token: () => 'old',
    renewToken$,
    onFault: (fault) => faults.push(fault),
    onAnswer: () => undefined,
  });
  return { member, faults };
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
