import { beforeEach, expect, test } from 'vitest';
import { VirtualTimeScheduler, type SchedulerAction, type Subscription } from 'rxjs';
import { AlarmClock, alarmClockOf, type Alarm } from '../../src/etcd/alarm-clock.ts';

// Node runs a timer with a longer delay at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Virtual time that knows its timers. */
class Timers extends VirtualTimeScheduler {
  readonly delays: number[] = [];
  readonly #set: Subscription[] = [];

  constructor() {
    super(undefined, Infinity);
  }

  override schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T): Subscription {
    this.delays.push(delay);
    const subscription = super.schedule(work, delay, state);
    this.#set.push(subscription);
    return subscription;
  }

  get running(): number {
    return this.#set.filter(({ closed }) => !closed).length;
  }
}

let time: Timers;
let clock: AlarmClock;
/** Who rang, and when. */
let rung: [name: string, atMs: number][];

beforeEach(() => {
  time = new Timers();
  clock = new AlarmClock(time);
  rung = [];
});

function alarm(name: string, onRing: () => void = () => undefined): Alarm {
  return {
    ringsAtMs: undefined,
    ring: () => {
      rung.push([name, time.now()]);
      onRing();
    },
  };
}

function runTo(atMs: number): void {
  time.maxFrames = atMs;
  time.flush();
  time.frame = atMs;
}

test('alarms ring once, each at its time, however they were set', () => {
  for (const [name, delayMs] of [
    ['c', 30],
    ['a', 10],
    ['b', 20],
    ['b too', 20],
    ['at once', 0],
    ['past', -5],
  ] as const)
    clock.set(alarm(name), delayMs);
  runTo(1000);
  expect(rung).toEqual([
    ['at once', 0],
    ['past', 0],
    ['a', 10],
    ['b', 20],
    ['b too', 20],
    ['c', 30],
  ]);
});

test('one timer for all of them, and none when the last was cancelled or has rung', () => {
  const alarms = Array.from({ length: 100 }, (_, index) => alarm(String(index)));
  for (const [index, each] of alarms.entries()) clock.set(each, 1000 - index);
  expect(time.running).toBe(1);
  for (const each of alarms) clock.cancel(each);
  expect(time.running).toBe(0);
  clock.set(alarm('last'), 10);
  runTo(2000);
  expect(rung).toEqual([['last', 10]]);
  expect(time.running).toBe(0);
});

test('cancelled, it does not ring; set anew, it rings at its new time alone', () => {
  const [cancelled, later, earlier] = [alarm('cancelled'), alarm('later'), alarm('earlier')];
  for (const each of [cancelled, later, earlier]) clock.set(each, 50);
  clock.cancel(cancelled);
  clock.cancel(cancelled);
  clock.set(later, 80);
  clock.set(earlier, 20);
  expect([cancelled.ringsAtMs, later.ringsAtMs, earlier.ringsAtMs]).toEqual([undefined, 80, 20]);
  runTo(1000);
  expect(rung).toEqual([
    ['earlier', 20],
    ['later', 80],
  ]);
  expect([later.ringsAtMs, earlier.ringsAtMs]).toEqual([undefined, undefined]);
});

test('one cancelled by another that rings at the same time does not ring', () => {
  const second = alarm('second');
  clock.set(
    alarm('first', () => {
      clock.cancel(second);
    }),
    10,
  );
  clock.set(second, 10);
  runTo(1000);
  expect(rung).toEqual([['first', 10]]);
  expect(time.running).toBe(0);
});

test('one that sets itself, or one that was to ring with it, has it ring another time: there is an end', () => {
  const second = alarm('second');
  const first = alarm('first', () => {
    clock.set(second, 0);
    if (rung.length < 5) clock.set(first, 0);
  });
  clock.set(first, 10);
  clock.set(second, 10);
  runTo(1000);
  expect(rung).toEqual([
    ['first', 10],
    ['second', 11],
    ['first', 11],
    ['second', 12],
    ['first', 12],
    ['second', 13],
  ]);
});

test('one that throws neither keeps the others from ringing nor rings again', async () => {
  const { config } = await import('rxjs');
  const reported = new Promise((resolve) => (config.onUnhandledError = resolve));
  const mistake = new Error('a mistake');
  clock.set(alarm('before'), 10);
  clock.set(
    alarm('throws', () => {
      throw mistake;
    }),
    10,
  );
  clock.set(alarm('after'), 10);
  clock.set(alarm('later'), 20);
  runTo(1000);
  expect(rung.map(([name]) => name)).toEqual(['before', 'throws', 'after', 'later']);
  expect(await reported).toBe(mistake);
  config.onUnhandledError = null;
  expect(time.running).toBe(0);
});

test('those that may be late ring together, none too early and none later than it may', () => {
  const due = new Map<string, number>();
  for (let index = 0; index < 200; index++) {
    const delayMs = 3000 + index * 1.7;
    due.set(String(index), delayMs);
    clock.set(alarm(String(index)), delayMs, 200);
  }
  runTo(10_000);
  expect(rung).toHaveLength(200);
  for (const [name, atMs] of rung) {
    expect(atMs).toBeGreaterThanOrEqual(due.get(name) ?? NaN);
    expect(atMs).toBeLessThanOrEqual((due.get(name) ?? NaN) + 200);
  }
  expect(new Set(rung.map(([, atMs]) => atMs)).size).toBeLessThanOrEqual(4);
});

test('a clock of fractions, whose timers run a little early: none rings before its time', () => {
  const early = new AlarmClock(time, () => time.frame - 0.4);
  const one = alarm('one');
  early.set(one, 10.3);
  expect(one.ringsAtMs).toBe(10);
  for (let atMs = 0; atMs < 20; atMs++) {
    runTo(atMs);
    if (atMs - 0.4 < 9.9) expect(rung).toEqual([]);
  }
  expect(rung).toHaveLength(1);
});

test('a delay of months sets no timer longer than there are, and the alarm rings at its end', () => {
  const months = 100 * 86_400_000;
  clock.set(alarm('rare'), months);
  runTo(months - 1);
  expect(rung).toEqual([]);
  runTo(months);
  expect(rung).toEqual([['rare', months]]);
  expect(Math.max(...time.delays)).toBeLessThanOrEqual(LONGEST_TIMER_MS);
});

test('one clock for each scheduler', () => {
  expect(alarmClockOf(time)).toBe(alarmClockOf(time));
  expect(alarmClockOf(new Timers())).not.toBe(alarmClockOf(time));
});

test('one that sets itself again each time it rings needs one timer for each ring, and no more', () => {
  const one = alarm('one', () => {
    clock.set(one, 100);
  });
  clock.set(one, 100);
  runTo(1000);
  expect(rung).toHaveLength(10);
  expect(time.delays).toHaveLength(11);
  clock.cancel(one);
  expect(time.running).toBe(0);
});

test('two at one time, of which one sets itself and the other cancels that: no timer is left', () => {
  const one = alarm('one', () => {
    clock.set(one, 100);
  });
  clock.set(one, 10);
  clock.set(
    alarm('other', () => {
      clock.cancel(one);
    }),
    10,
  );
  runTo(10);
  expect(time.running).toBe(0);
});

test('a clock that starts over, as the one of fake timers in a test does, delays nothing that is set then', () => {
  let startedMs = 0;
  const restarting = new AlarmClock(time, () => time.frame - startedMs);
  restarting.set(alarm('before'), 60_000);
  runTo(60_000);
  startedMs = 60_000;
  restarting.set(alarm('after'), 10);
  runTo(60_010);
  expect(rung).toEqual([
    ['before', 60_000],
    ['after', 60_010],
  ]);
});
