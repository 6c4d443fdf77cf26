import { Subject, VirtualTimeScheduler, of } from 'rxjs';
import { expect, test } from 'vitest';
import { followRange$ } from '../../src/discovery/follow-range.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { memberLink, type MemberLinkOptions } from '../../src/etcd/member-link.ts';
import type { EtcdFault } from '../../src/etcd/faults.ts';
import type { LinkState } from '../../src/etcd/link.ts';
import { fakeClient, fakeDuplex, fakeMethods, grpcError, type Answer } from './fakes.ts';

const range = { key: Uint8Array.of(97), namespaceBytes: 0 };
const invalidToken = grpcError(16, 'etcdserver: invalid auth token');

interface Given {
  readonly onCall?: (method: string) => Answer | undefined;
  readonly onStream?: () => ReturnType<typeof fakeDuplex>;
  readonly renewToken$?: MemberLinkOptions['renewToken$'];
  readonly pool?: object;
}

function linkOf({ onCall = () => undefined, onStream = fakeDuplex, renewToken$ = () => of('new'), pool }: Given) {
  const faults: EtcdFault[] = [];
  const link = memberLink({
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
  return { link, faults };
}

test('a token that is refused also after its renewal speaks against the link: nobody would make another one', () => {
  const { link, faults } = linkOf({ onCall: () => ({ error: invalidToken }) });
  const errors: unknown[] = [];
  link.fingerprint$(range).subscribe({ error: (error: unknown) => errors.push(error) });
  expect(errors).toHaveLength(1);
  expect(faults.map(({ kind }) => kind)).toEqual(['token']);
});

test('a token is renewed once for a call, and the call asked again, without a fault of the link', () => {
  const answers: Answer[] = [{ error: invalidToken }, { answer: { ID: '7', TTL: '10', error: '' } }];
  const { link, faults } = linkOf({ onCall: () => answers.shift() });
  const granted: unknown[] = [];
  link.grant$(10, '7').subscribe((lease) => granted.push(lease));
  expect(granted).toEqual([{ leaseId: '7', ttlSeconds: 10 }]);
  expect(faults).toEqual([]);
});

test('a stream that cannot even be opened speaks against the link', () => {
  const { link, faults } = linkOf({
    onStream: () => {
      throw new Error('Channel has been shut down');
    },
  });
  const errors: unknown[] = [];
  const error = (failure: unknown): void => void errors.push(failure);
  link.watch$({ range, startRevision: 1 }).subscribe({ error });
  link.keepAlive$('7', 10, 0).subscribe({ error });
  expect(errors).toHaveLength(2);
  expect(faults.map(({ kind }) => kind)).toEqual(['link', 'link']);
});

test('a stream refused with a token is a fault of the link, also when calls go on', () => {
  const duplex = fakeDuplex();
  const { link, faults } = linkOf({ onStream: () => duplex });
  link.watch$({ range, startRevision: 1 }).subscribe({ error: () => undefined });
  duplex.fail(invalidToken);
  expect(faults.map(({ kind }) => kind)).toEqual(['token']);
});

test('a prefix does not wait for ever for the successor of a link that nobody gave up', () => {
  const scheduler = new VirtualTimeScheduler();
  const { link } = linkOf({ onCall: () => ({ error: invalidToken }) });
  const link$ = new Subject<LinkState>();
  const states: PrefixState<string>[] = [];
  followRange$<string>({ link$ }, range, { scheduler, random: () => 0.5, maxRetries: 3 }).subscribe({
    next: (state) => states.push(state),
    error: (error: { code: string }) => states.push(error.code as never),
  });
  link$.next({ status: 'up', link });
  scheduler.flush();
  expect(states.at(-1)).toBe('retries-exhausted');
});
