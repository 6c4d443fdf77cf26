import { describe, expect, test } from 'vitest';
import { passingError } from '../../src/errors.ts';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { Member, TxnAnswer } from '../../src/etcd/member.ts';
import type { PresentValues } from '../../src/registration/desired.ts';
import { initialState, type Input, type MachineConfig, type MachineState } from '../../src/registration/machine.ts';
import { describeRegistration, type RegistrationState } from '../../src/registration/registration-state.ts';
import { step } from '../../src/registration/step.ts';

// Without time and without a fake: states, inputs, and what is to be done.

type State = MachineState<RegistrationState>;

const CONFIG: MachineConfig<RegistrationState> = {
  ttlSeconds: 9,
  onConflict: 'replace',
  confirm: 'write',
  drainMs: 0,
  describe: describeRegistration<string>,
};
const AT = { nowMs: 1000, steadyMs: 1000 };
const member = { host: 'a' } as Member;
const cut = passingError('connection-lost', 'cut');
const key = { name: 'a', bytes: Buffer.from('a'), namespaceBytes: 0 };

function values(value: string): PresentValues<string> {
  return { status: 'present', keys: [key], bytes: [Buffer.from(value)], entries: new Map([['a', value]]) };
}

const UP: Input = { type: 'up', member };
const DOWN: Input = { type: 'down', cause: cut };
const DRAWN: Input = { type: 'lease-id-drawn', leaseId: '7' };
const GRANTED: Input = {
  type: 'granted',
  askedId: '7',
  sentAtMs: 1000,
  answer: { leaseId: '7', ttlSeconds: 9 },
};
const RENEWED: Input = { type: 'renewed', renewal: { ttlSeconds: 9, sentAtMs: 1000, lateMs: 0 } };
const GONE: Input = { type: 'renewal-failed', fault: new EtcdFault('lease-gone', 'gone') };
const BUSY: Input = { type: 'renewal-failed', fault: new EtcdFault('busy', 'too many requests') };
const DENIED: Input = { type: 'write-failed', fault: new EtcdFault('permission-denied', 'denied') };
const FULL: Input = { type: 'write-failed', fault: new EtcdFault('busy', 'full', { code: 'store-full' }) };
const DESIRED: Input = { type: 'desired', desired: values('one') };
const LATER: Input = { type: 'desired', desired: values('two') };
const ABSENT: Input = { type: 'desired', desired: { status: 'absent' } };
const LEAVE: Input = { type: 'leave', marked: undefined };

function written(more: Partial<TxnAnswer> = {}): Input {
  return { type: 'written', answer: { succeeded: true, revision: 5, results: [[]], ...more } };
}

function deleted(modRevision: number): Input {
  const event = { type: 'delete', key: 'a', value: Buffer.of(), lease: '0', modRevision, createRevision: 0 } as const;
  return { type: 'watched', key, message: { type: 'events', events: [event] } };
}

/** After these inputs, one after another. */
function after(...inputs: readonly Input[]): State {
  return inputs.reduce((state, input) => step(state, input, AT).state, initialState(CONFIG));
}

const NEW: readonly Input[] = [DESIRED];
const WAITING: readonly Input[] = [...NEW, { type: 'start' }];
const QUEUED: readonly Input[] = [...WAITING, UP];
const GRANTING: readonly Input[] = [...QUEUED, { type: 'admitted' }, DRAWN];
const WRITING: readonly Input[] = [...GRANTING, GRANTED];
const REGISTERED: readonly Input[] = [...WRITING, written()];
const SUSPENDED: readonly Input[] = [...REGISTERED, DOWN];
const RENEWING: readonly Input[] = [...SUSPENDED, UP];
const LOST: readonly Input[] = [...REGISTERED, GONE];
const CHANGING: readonly Input[] = [...REGISTERED, LATER];
const DISTURBED: readonly Input[] = [...REGISTERED, deleted(6)];
const STATES = {
  NEW,
  WAITING,
  QUEUED,
  GRANTING,
  WRITING,
  REGISTERED,
  SUSPENDED,
  RENEWING,
  LOST,
  CHANGING,
  DISTURBED,
};

const table: readonly (readonly [
  from: keyof typeof STATES,
  what: string,
  input: Input,
  effects: readonly string[],
  told: readonly string[],
])[] = [
  ['NEW', 'started', { type: 'start' }, ['listen'], ['registering']],
  ['NEW', 'left', LEAVE, ['end-inputs', 'complete'], ['deregistered']],
  ['NEW', 'stopped', { type: 'stop' }, ['end-inputs'], []],
  ['WAITING', 'a member comes', UP, ['enter'], []],
  ['WAITING', 'no member can be reached', DOWN, [], ['registering']],
  ['WAITING', 'stopped', { type: 'stop' }, ['unlisten', 'end-inputs'], []],
  ['QUEUED', 'admitted', { type: 'admitted' }, ['draw-lease-id'], []],
  ['QUEUED', 'stopped', { type: 'stop' }, ['give-place-back', 'unlisten', 'end-inputs'], []],
  ['GRANTING', 'granted', GRANTED, ['timer', 'write', 'renew'], []],
  [
    'GRANTING',
    'granted for no time',
    { ...GRANTED, answer: { leaseId: '7', ttlSeconds: 0 } },
    ['give-place-back', 'backoff'],
    ['registering'],
  ],
  [
    'GRANTING',
    'granted for centuries',
    { ...GRANTED, answer: { leaseId: '7', ttlSeconds: 9e15 } },
    ['give-place-back', 'backoff'],
    ['registering'],
  ],
  [
    'GRANTING',
    'another lease is granted',
    { ...GRANTED, answer: { leaseId: '8', ttlSeconds: 9 } },
    ['give-place-back', 'backoff'],
    ['registering'],
  ],
  ['GRANTING', 'the connection is lost', DOWN, ['give-place-back'], ['registering']],
  ['GRANTING', 'stopped', { type: 'stop' }, ['revoke', 'give-place-back', 'unlisten', 'end-inputs'], []],
  ['WRITING', 'answered', written(), ['watch', 'give-place-back'], ['registered']],
  ['WRITING', 'an answer without a result', written({ results: [] }), ['give-place-back', 'backoff'], ['registering']],
  [
    'WRITING',
    'an answer without a revision',
    written({ revision: 0 }),
    ['give-place-back', 'backoff'],
    ['registering'],
  ],
  [
    'WRITING',
    'more results than requests',
    written({ results: [[], []] }),
    ['give-place-back', 'backoff'],
    ['registering'],
  ],
  ['WRITING', 'the store is full', FULL, ['give-place-back', 'backoff'], ['registering']],
  ['WRITING', 'denied', DENIED, ['fail'], []],
  [
    'WRITING',
    'the lease is gone',
    GONE,
    ['end-renewals', 'give-place-back', 'end-timer', 'end-write', 'end-timer', 'backoff'],
    ['registering'],
  ],
  ['REGISTERED', 'renewed', RENEWED, [], []],
  [
    'REGISTERED',
    'renewed for centuries',
    { ...RENEWED, renewal: { ...RENEWED.renewal, ttlSeconds: 9e15 } },
    ['end-renewals', 'end-timer', 'backoff'],
    ['suspended'],
  ],
  ['REGISTERED', 'a renewal is refused for now', BUSY, ['end-renewals', 'end-timer', 'backoff'], ['suspended']],
  [
    'REGISTERED',
    'the connection is lost',
    DOWN,
    ['end-renewals', 'end-timer', 'end-watches', 'end-timer'],
    ['suspended'],
  ],
  [
    'REGISTERED',
    'the lease is gone',
    GONE,
    ['end-renewals', 'end-timer', 'end-watches', 'end-timer', 'backoff'],
    ['lost'],
  ],
  ['REGISTERED', 'the key is deleted by somebody else', deleted(6), ['renew', 'backoff'], ['lost']],
  ['REGISTERED', 'the same value again', DESIRED, [], []],
  ['REGISTERED', 'another value', LATER, ['write'], []],
  ['REGISTERED', 'not ready', ABSENT, ['write'], []],
  [
    'REGISTERED',
    'left',
    LEAVE,
    ['end-inputs', 'revoke', 'end-renewals', 'end-timer', 'end-watches', 'end-timer', 'unlisten'],
    [],
  ],
  [
    'REGISTERED',
    'stopped',
    { type: 'stop' },
    ['revoke', 'end-renewals', 'end-timer', 'end-watches', 'end-timer', 'unlisten', 'end-inputs'],
    [],
  ],
  ['REGISTERED', 'the client is closed', { type: 'failed', error: 'closed' }, ['fail'], []],
  ['SUSPENDED', 'a member comes', UP, ['renew'], []],
  ['RENEWING', 'renewed', RENEWED, ['timer', 'write'], []],
  ['RENEWING', 'the lease is gone', GONE, ['end-renewals', 'backoff'], ['lost']],
  ['LOST', 'the pause is over', { type: 'timer', name: 'lease-retry' }, ['enter'], ['registering']],
  ['LOST', 'stopped', { type: 'stop' }, ['end-timer', 'unlisten', 'end-inputs'], []],
  ['CHANGING', 'the store is full', FULL, ['backoff'], ['registered']],
  ['CHANGING', 'answered', written({ revision: 6 }), [], ['registered']],
  ['CHANGING', 'an answer that is older than what is known', written({ revision: 5 }), ['backoff'], ['registered']],
  ['DISTURBED', 'the pause is over', { type: 'timer', name: 'key-retry' }, ['write'], ['registering']],
];

describe('each state and input: what is done, and what is told', () => {
  for (const [from, what, input, effects, told] of table) {
    test(`${from}: ${what}`, () => {
      const result = step(after(...STATES[from]), input, AT);
      const others = result.effects.filter(({ type }) => type !== 'emit');
      expect(others.map(({ type }) => type)).toEqual(effects);
      expect(result.effects.flatMap((each) => (each.type === 'emit' ? [each.state.status] : []))).toEqual(told);
    });
  }
});

test('a step changes nothing of the state before: pure', () => {
  for (const inputs of Object.values(STATES)) {
    const before = after(...inputs);
    const copy = { ...before, tracked: [...before.tracked] };
    for (const [, , input] of table) {
      const first = step(before, input, AT);
      expect(before).toEqual(copy);
      expect(step(before, input, AT)).toEqual(first);
    }
  }
});

test('any input in any state: no state twice in a row, nothing after the end', () => {
  for (const inputs of Object.values(STATES)) {
    for (const [, , input] of table) {
      const { state } = step(after(...inputs), input, AT);
      const { effects } = step(state, input, AT);
      for (const each of effects) if (each.type === 'emit') expect(each.state).not.toEqual(state.told);
      const ended = step(state, { type: 'stop' }, AT).state;
      expect(step(ended, input, AT)).toEqual({ state: ended, effects: [] });
    }
  }
});

test('a later value that cannot be written: registered still, with the value that is there, and the cause', () => {
  const { effects } = step(after(...CHANGING), FULL, AT);
  expect(effects.at(-1)).toMatchObject({
    state: { status: 'registered', value: 'one', cause: { code: 'store-full' } },
  });
});

test('a comparison that fails again and again is asked for with pauses: no spin against a server that lies', () => {
  const lie = written({ succeeded: false, revision: 5, results: [[]] });
  let state = after(...WRITING);
  let writes = 0;
  for (let round = 0; round < 100; round++) {
    const result = step(state, lie, AT);
    state = result.state;
    writes += result.effects.filter(({ type }) => type === 'write').length;
  }
  expect(writes).toBeLessThan(5);
  expect(state.told?.status).toBe('registering');
});
