import { Subscription, VirtualTimeScheduler, map } from 'rxjs';
import { text } from '../../src/codecs/text.ts';
import type { Connection, Member } from '../../src/etcd/member.ts';
import type { RegistrationState } from '../../src/registration/registration-state.ts';
import { registration$, type RegistrationOptions } from '../../src/registration/registration.ts';
import { fakeEtcd, seeded, type FakeEtcd } from './fake-connection.ts';

export interface World {
  readonly time: VirtualTimeScheduler;
  readonly etcd: FakeEtcd;
  readonly states: RegistrationState[];
  readonly statuses: () => string[];
  readonly subscription: Subscription;
  error: unknown;
  completed: boolean;
  advance(ms: number): void;
  /** The value of a key as it is in etcd. */
  stored(name: string): string | undefined;
}

/** A registration of `a` on a fake of etcd whose members may be changed, in virtual time. */
export function world(
  more: Partial<RegistrationOptions<string>> = {},
  change: (member: Member) => Partial<Member> = () => ({}),
): World {
  const time = new VirtualTimeScheduler(undefined, Infinity);
  const etcd = fakeEtcd(time);
  const member$ = etcd.connection.member$.pipe(
    map((state) =>
      state.status === 'up' ? { ...state, member: { ...state.member, ...change(state.member) } } : state,
    ),
  );
  const connection: Connection = { member$, drainingMember$: member$ };
  const states: RegistrationState[] = [];
  const created: World = {
    time,
    etcd,
    states,
    statuses: () => states.map(({ status }) => status),
    subscription: new Subscription(),
    error: undefined,
    completed: false,
    advance: (ms) => {
      time.maxFrames = time.frame + ms;
      time.flush();
      time.frame = time.maxFrames;
    },
    stored: (name) => {
      const entry = etcd.store.get(name);
      return entry && Buffer.from(entry.value).toString();
    },
  };
  created.subscription.add(
    registration$<string>({
      connection,
      ttlSeconds: 6,
      keys: [keyOf('a')],
      sources: ['value'],
      codec: text(),
      onConflict: 'replace',
      confirm: 'write',
      ready: undefined,
      until: undefined,
      drainMs: 0,
      drainValue: undefined,
      scheduler: time,
      random: seeded(),
      ...more,
    }).subscribe({
      next: (state) => states.push(state),
      error: (error: unknown) => (created.error = error),
      complete: () => (created.completed = true),
    }),
  );
  return created;
}

export function keyOf(name: string): { name: string; bytes: Buffer; namespaceBytes: number } {
  return { name, bytes: Buffer.from(name), namespaceBytes: 0 };
}
