import type { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, lastValueFrom, toArray, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveClient } from '../../src/etcd/connection.ts';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { KeyRange, Member } from '../../src/etcd/member.ts';
import { record } from './record.ts';

/** A member to hold against the contract of `Member`, and a way to write past it. */
export interface MemberUnderTest {
  readonly member: Member;
  /** All in one revision, which it gives; `undefined` deletes. */
  write(entries: readonly (readonly [key: string, value: string | undefined])[]): Promise<number>;
  compact(revision: number): Promise<unknown>;
  stop(): unknown;
}

type Open = () => Promise<MemberUnderTest>;

const range: KeyRange = { key: Buffer.from('k'), rangeEnd: Buffer.from('l'), namespaceBytes: 0 };

/** What discovery needs of a member: a fake passes it as a real one does. */
export function rangeContract(name: string, open: Open): void {
  describe(`${name}: lists, fingerprints and watches`, () => {
    const under = opened(open);

    test('a list is of one revision, in the order of keys', async () => {
      const revision = await under().write([
        ['k3', 'three'],
        ['k1', 'one'],
        ['k2', 'two'],
      ]);
      const pages = await lastValueFrom(under().member.list$(range).pipe(toArray()));
      expect(pages.flatMap(({ entries }) => entries.map(({ key, value }) => [key, text(value)]))).toEqual([
        ['k1', 'one'],
        ['k2', 'two'],
        ['k3', 'three'],
      ]);
      expect(new Set(pages.map((page) => page.revision))).toEqual(new Set([revision]));
    });

    test('a fingerprint of a past revision: the count, and the newest entry of then', async () => {
      const before = await under().write([['k1', 'first']]);
      await under().write([['k1', 'second']]);
      const { count, newest, revision } = await firstValueFrom(under().member.fingerprint$(range, before));
      expect([count, newest?.key, newest?.modRevision]).toEqual([3, 'k1', before]);
      expect(revision).toBeGreaterThan(before);
    });

    test('a revision that is not there yet is a fault of that kind', async () => {
      await failsWith(under().member.fingerprint$(range, 1_000_000), 'future-revision');
    });

    test('a watch says that it is created, and then all events of a revision together', async () => {
      const start = (await under().write([['k9', 'before']])) + 1;
      const told = record(under().member.watch$({ range, startRevision: start }));
      await told.reaches(({ type }) => type === 'created');
      const revision = await under().write([
        ['k1', 'changed'],
        ['k2', undefined],
      ]);
      const { events } = await told.reaches((message) => message.type === 'events');
      expect(events.map(({ type, key, modRevision }) => `${type} ${key} ${modRevision}`).sort()).toEqual([
        `delete k2 ${revision}`,
        `put k1 ${revision}`,
      ]);
      told.subscription.unsubscribe();
    });

    test('a watch from the past is told what happened since, from its first revision on', async () => {
      const first = await under().write([['k1', 'a']]);
      await under().write([['k1', 'b']]);
      const told = record(under().member.watch$({ range, startRevision: first, catchesUp: true }));
      const values = (): string[] =>
        told.values
          .flatMap((message) => (message.type === 'events' ? message.events : []))
          .map((event) => text(event.value));
      await told.reaches(() => values().length === 2);
      expect(values()).toEqual(['a', 'b']);
      told.subscription.unsubscribe();
    });

    test('what is compacted is a fault of that kind, for a fingerprint and for a watch', async () => {
      const first = await under().write([['k1', 'c']]);
      const last = await under().write([['k1', 'd']]);
      await under().write([['k1', 'e']]);
      await under().compact(last);
      await failsWith(under().member.fingerprint$(range, first), 'compacted');
      await failsWith(under().member.watch$({ range, startRevision: first, catchesUp: true }), 'compacted');
    });
  });
}

/** What registration needs of a member. */
export function leaseContract(name: string, open: Open): void {
  describe(`${name}: leases and transactions`, () => {
    const under = opened(open);
    const put = (key: string, value: string, leaseId?: string) =>
      ({
        type: 'put',
        key: Buffer.from(key),
        value: Buffer.from(value),
        ...(leaseId !== undefined && { leaseId }),
      }) as const;
    const get = (key: string) => ({ type: 'get', range: { key: Buffer.from(key), namespaceBytes: 0 } }) as const;

    test('a lease is granted under the id that was asked for, once', async () => {
      const { member } = under();
      expect(await firstValueFrom(member.grant$(30, '77001'))).toMatchObject({ leaseId: '77001', ttlSeconds: 30 });
      await failsWith(member.grant$(30, '77001'), 'lease-exists');
    });

    test('it is renewed until it is gone', async () => {
      const { member } = under();
      await firstValueFrom(member.grant$(30, '77002'));
      expect((await firstValueFrom(member.keepAlive$('77002', 30, 0))).ttlSeconds).toBe(30);
      await failsWith(member.keepAlive$('77003', 30, 0), 'lease-gone');
    });

    test('a revoke takes the keys of the lease with it, and one of a lease that is gone is answered too', async () => {
      const { member } = under();
      await firstValueFrom(member.grant$(30, '77004'));
      await firstValueFrom(member.txn$({ when: [], then: [put('k1', 'leased', '77004')] }));
      await lastValueFrom(member.revoke$('77004'), { defaultValue: undefined });
      const { results } = await firstValueFrom(member.txn$({ when: [], then: [get('k1')] }));
      expect(results).toEqual([[]]);
      await lastValueFrom(member.revoke$('77004'), { defaultValue: undefined });
    });

    test('a transaction does one branch or the other, by the revisions of a key', async () => {
      const { member } = under();
      const absent = { key: Buffer.from('k2'), target: 'create', equals: 0 } as const;
      const once = { when: [absent], then: [put('k2', 'first')], otherwise: [get('k2')] };
      expect((await firstValueFrom(member.txn$(once))).succeeded).toBe(true);
      const second = await firstValueFrom(member.txn$(once));
      expect([second.succeeded, text(second.results[0]?.[0]?.value)]).toEqual([false, 'first']);
      const modRevision = second.results[0]?.[0]?.modRevision ?? 0;
      const same = { key: Buffer.from('k2'), target: 'mod', equals: modRevision } as const;
      const third = await firstValueFrom(member.txn$({ when: [same], then: [put('k2', 'second')] }));
      expect([third.succeeded, third.revision > modRevision]).toEqual([true, true]);
    });

    test('a key is not put under a lease that is not there', async () => {
      await failsWith(under().member.txn$({ when: [], then: [put('k3', 'x', '77005')] }), 'lease-gone');
    });
  });
}

/** The member that a client works with, held until it is released. */
export async function memberOf(client: Etcd3): Promise<{ readonly member: Member; release(): void }> {
  const { connection } = resolveClient(client);
  const held = connection.member$.subscribe();
  const up$ = connection.member$.pipe(filter((state) => state.status === 'up'));
  const { member } = await firstValueFrom(up$);
  return {
    member,
    release: () => {
      held.unsubscribe();
    },
  };
}

function opened(open: Open): () => MemberUnderTest {
  let under: MemberUnderTest | undefined;
  beforeAll(async () => {
    under = await open();
  });
  afterAll(async () => {
    await under?.stop();
  });
  return () => {
    if (under === undefined) throw new Error('not opened');
    return under;
  };
}

async function failsWith(source$: Observable<unknown>, kind: EtcdFault['kind']): Promise<void> {
  const error = await lastValueFrom(source$).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EtcdFault);
  expect((error as EtcdFault).kind).toBe(kind);
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}
