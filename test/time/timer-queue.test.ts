import { beforeEach, expect, test } from 'vitest';
import type { SchedulerAction, Subscription } from 'rxjs';
import { TimerQueue, timerQueueOf, type QueuedTimer } from '../../src/time/timer-queue.ts';
import { VirtualTime } from '../support/virtual-time.ts';

// Node runs a timer with a longer delay at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Virtual time that knows its timers. */
class Timers extends VirtualTime {
  readonly delays: number[] = [];
  readonly #set: Subscription[] = [];

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
let clock: TimerQueue;
/** Who fired, and when. */
let fired: [name: string, atMs: number][];

beforeEach(() => {
  time = new Timers();
  clock = new TimerQueue(time);
  fired = [];
});

function timer(name: string, onRing: () => void = () => undefined): QueuedTimer {
  return {
    dueMs: undefined,
    fire: () => {
      fired.push([name, time.now()]);
      onRing();
    },
  };
}

test('timers fire once, each at its time, however they were set', () => {
  for (const [name, delayMs] of [
    ['c', 30],
    ['a', 10],
    ['b', 20],
    ['b too', 20],
    ['at once', 0],
    ['past', -5],
  ] as const)
    clock.set(timer(name), delayMs);
  time.runTo(1000);
  expect(fired).toEqual([
    ['at once', 0],
    ['past', 0],
    ['a', 10],
    ['b', 20],
    ['b too', 20],
    ['c', 30],
  ]);
});

test('one timer for all of them, and none when the last was cancelled or has fired', () => {
  const timers = Array.from({ length: 100 }, (_, index) => timer(String(index)));
  for (const [index, each] of timers.entries()) clock.set(each, 1000 - index);
  expect(time.running).toBe(1);
  for (const each of timers) clock.cancel(each);
  expect(time.running).toBe(0);
  clock.set(timer('last'), 10);
  time.runTo(2000);
  expect(fired).toEqual([['last', 10]]);
  expect(time.running).toBe(0);
});

test('cancelled, it does not fire; set anew, it fires at its new time alone', () => {
  const [cancelled, later, earlier] = [timer('cancelled'), timer('later'), timer('earlier')];
  for (const each of [cancelled, later, earlier]) clock.set(each, 50);
  clock.cancel(cancelled);
  clock.cancel(cancelled);
  clock.set(later, 80);
  clock.set(earlier, 20);
  expect([cancelled.dueMs, later.dueMs, earlier.dueMs]).toEqual([undefined, 80, 20]);
  time.runTo(1000);
  expect(fired).toEqual([
    ['earlier', 20],
    ['later', 80],
  ]);
  expect([later.dueMs, earlier.dueMs]).toEqual([undefined, undefined]);
});

test('one cancelled by another that fires at the same time does not fire', () => {
  const second = timer('second');
  clock.set(
    timer('first', () => {
      clock.cancel(second);
    }),
    10,
  );
  clock.set(second, 10);
  time.runTo(1000);
  expect(fired).toEqual([['first', 10]]);
  expect(time.running).toBe(0);
});

test('one that sets itself, or one that was to fire with it, has it fire another time: there is an end', () => {
  const second = timer('second');
  const first = timer('first', () => {
    clock.set(second, 0);
    if (fired.length < 5) clock.set(first, 0);
  });
  clock.set(first, 10);
  clock.set(second, 10);
  time.runTo(1000);
  expect(fired).toEqual([
    ['first', 10],
    ['second', 11],
    ['first', 11],
    ['second', 12],
    ['first', 12],
    ['second', 13],
  ]);
});

test('one that throws neither keeps the others from firing nor fires again', async () => {
  const { config } = await import('rxjs');
  const reported = new Promise((resolve) => (config.onUnhandledError = resolve));
  const mistake = new Error('a mistake');
  clock.set(timer('before'), 10);
  clock.set(
    timer('throws', () => {
      throw mistake;
    }),
    10,
  );
  clock.set(timer('after'), 10);
  clock.set(timer('later'), 20);
  time.runTo(1000);
  expect(fired.map(([name]) => name)).toEqual(['before', 'throws', 'after', 'later']);
  expect(await reported).toBe(mistake);
  config.onUnhandledError = null;
  expect(time.running).toBe(0);
});

test('those that may be late fire together, none too early and none later than it may', () => {
  const due = new Map<string, number>();
  for (let index = 0; index < 200; index++) {
    const delayMs = 3000 + index * 1.7;
    due.set(String(index), delayMs);
    clock.set(timer(String(index)), delayMs, 200);
  }
  time.runTo(10_000);
  expect(fired).toHaveLength(200);
  for (const [name, atMs] of fired) {
    expect(atMs).toBeGreaterThanOrEqual(due.get(name) ?? NaN);
    expect(atMs).toBeLessThanOrEqual((due.get(name) ?? NaN) + 200);
  }
  expect(new Set(fired.map(([, atMs]) => atMs)).size).toBeLessThanOrEqual(4);
});

test('a clock of fractions, whose timers run a little early: none fires before its time', () => {
  const early = new TimerQueue(time, () => time.frame - 0.4);
  const one = timer('one');
  early.set(one, 10.3);
  expect(one.dueMs).toBe(10);
  for (let atMs = 0; atMs < 20; atMs++) {
    time.runTo(atMs);
    if (atMs - 0.4 < 9.9) expect(fired).toEqual([]);
  }
  expect(fired).toHaveLength(1);
});

test('a delay of months sets no timer longer than there are, and the timer fires at its end', () => {
  const months = 100 * 86_400_000;
  clock.set(timer('rare'), months);
  time.runTo(months - 1);
  expect(fired).toEqual([]);
  time.runTo(months);
  expect(fired).toEqual([['rare', months]]);
  expect(Math.max(...time.delays)).toBeLessThanOrEqual(LONGEST_TIMER_MS);
});

test('one clock for each scheduler', () => {
  expect(timerQueueOf(time)).toBe(timerQueueOf(time));
  expect(timerQueueOf(new Timers())).not.toBe(timerQueueOf(time));
});

test('one that sets itself again each time it fires needs one timer for each fire, and no more', () => {
  const one = timer('one', () => {
    clock.set(one, 100);
  });
  clock.set(one, 100);
  time.runTo(1000);
  expect(fired).toHaveLength(10);
  expect(time.delays).toHaveLength(11);
  clock.cancel(one);
  expect(time.running).toBe(0);
});

test('two at one time, of which one sets itself and the other cancels that: no timer is left', () => {
  const one = timer('one', () => {
    clock.set(one, 100);
  });
  clock.set(one, 10);
  clock.set(
    timer('other', () => {
      clock.cancel(one);
    }),
    10,
  );
  time.runTo(10);
  expect(time.running).toBe(0);
});

test('a clock that starts over, as the one of fake timers in a test does, delays nothing that is set then', () => {
  let startedMs = 0;
  const restarting = new TimerQueue(time, () => time.frame - startedMs);
  restarting.set(timer('before'), 60_000);
  time.runTo(60_000);
  startedMs = 60_000;
  restarting.set(timer('after'), 10);
  time.runTo(60_010);
  expect(fired).toEqual([
    ['before', 60_000],
    ['after', 60_010],
  ]);
});
