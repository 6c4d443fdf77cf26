import { beforeEach, expect, test } from 'vitest';
import { Observable, ReplaySubject, throwError } from 'rxjs';
import { EtcdFault } from '../../src/etcd/faults.ts';
import type { Connection, ConnectionState } from '../../src/etcd/member.ts';
import {
  ConnectionListeners,
  drainingListenersOf,
  listenersOf,
  type ConnectionListener,
} from '../../src/registration/connection-listeners.ts';

/** Told apart by their attempt. */
const state = (attempt: number): ConnectionState => ({
  status: 'down',
  attempt,
  cause: new EtcdFault('connection', 'cut'),
});

let states: ReplaySubject<ConnectionState>;
let subscriptions: number;
let fan: ConnectionListeners;
/** Who was told what. */
let told: [name: string, what: unknown][];

function counted(member$: Observable<ConnectionState>): Observable<ConnectionState> {
  return new Observable<ConnectionState>((subscriber) => {
    subscriptions += 1;
    subscriber.add(() => (subscriptions -= 1));
    return member$.subscribe(subscriber);
  });
}

function connectionOf(member$: Observable<ConnectionState>): Connection {
  return { member$: counted(member$), drainingMember$: counted(member$) };
}

beforeEach(() => {
  states = new ReplaySubject(1);
  subscriptions = 0;
  fan = new ConnectionListeners(counted(states));
  told = [];
});

function listener(name: string, then: (what: unknown) => void = () => undefined): ConnectionListener {
  const tell = (what: unknown): void => {
    told.push([name, what]);
    then(what);
  };
  return {
    next: (each) => {
      tell(each.status === 'down' ? each.attempt : each.status);
    },
    error: tell,
  };
}

test('all are told of each member over one subscription, who comes later of the present one first', () => {
  fan.add(listener('early'));
  states.next(state(1));
  fan.add(listener('late'));
  states.next(state(2));
  expect(told).toEqual([
    ['early', 1],
    ['late', 1],
    ['early', 2],
    ['late', 2],
  ]);
  expect(subscriptions).toBe(1);
});

test('who left is told nothing more, and after the last one the connection is left', () => {
  const [a, b] = [listener('a'), listener('b')];
  fan.add(a);
  fan.add(b);
  fan.remove(a);
  fan.remove(a);
  states.next(state(1));
  expect(told).toEqual([['b', 1]]);
  expect(subscriptions).toBe(1);
  fan.remove(b);
  expect(subscriptions).toBe(0);
});

test('who comes when all had left is told of the member there is then, and not of the one there was', () => {
  const first = listener('first');
  const later = new ReplaySubject<ConnectionState>(1);
  let member$: Observable<ConnectionState> = states;
  fan = new ConnectionListeners(counted(new Observable((subscriber) => member$.subscribe(subscriber))));
  fan.add(first);
  states.next(state(1));
  fan.remove(first);
  member$ = later;
  fan.add(listener('second'));
  fan.add(listener('third'));
  expect(told).toEqual([['first', 1]]);
  later.next(state(2));
  expect(told).toEqual([
    ['first', 1],
    ['second', 2],
    ['third', 2],
  ]);
});

test('one who leaves while others are told is not told any more', () => {
  const second = listener('second');
  fan.add(
    listener('first', () => {
      fan.remove(second);
    }),
  );
  fan.add(second);
  fan.add(listener('third'));
  states.next(state(1));
  expect(told).toEqual([
    ['first', 1],
    ['third', 1],
  ]);
});

test('the last one leaves while others are told: the connection is left', () => {
  const second = listener('second');
  const first = listener('first', () => {
    fan.remove(second);
    fan.remove(first);
  });
  fan.add(first);
  fan.add(second);
  states.next(state(1));
  states.next(state(2));
  expect(told).toEqual([['first', 1]]);
  expect(subscriptions).toBe(0);
});

test('the first one leaves at the first word, said while it is being added: the connection is left', () => {
  states.next(state(1));
  const first = listener('first', () => {
    fan.remove(first);
  });
  fan.add(first);
  states.next(state(2));
  expect(told).toEqual([['first', 1]]);
  expect(subscriptions).toBe(0);
});

test('one who comes while others are told is told once', () => {
  fan.add(
    listener('first', (what) => {
      if (what === 1) fan.add(listener('second'));
    }),
  );
  fan.add(listener('third'));
  states.next(state(1));
  states.next(state(2));
  expect(told).toEqual([
    ['first', 1],
    ['second', 1],
    ['third', 1],
    ['first', 2],
    ['third', 2],
    ['second', 2],
  ]);
});

test('a member that is superseded while some are being told is not told to the others any more', () => {
  fan.add(
    listener('first', (what) => {
      if (what === 1) states.next(state(2));
    }),
  );
  fan.add(listener('second'));
  states.next(state(1));
  expect(told).toEqual([
    ['first', 1],
    ['first', 2],
    ['second', 2],
  ]);
});

test('an error is told to each once, and who comes after it, or in answer to it, subscribes anew', () => {
  const failed = new Error('failed');
  let member$: Observable<ConnectionState> = states;
  fan = new ConnectionListeners(counted(new Observable((subscriber) => member$.subscribe(subscriber))));
  fan.add(
    listener('first', (what) => {
      if (what === failed) fan.add(listener('again'));
    }),
  );
  fan.add(listener('second'));
  const failing = states;
  member$ = new ReplaySubject<ConnectionState>(1);
  failing.error(failed);
  expect(told).toEqual([
    ['first', failed],
    ['second', failed],
  ]);
  expect(subscriptions).toBe(1);
});

test('a connection that fails at once fails each who is added, and nothing is left', () => {
  const closed = new Error('closed');
  fan = new ConnectionListeners(counted(throwError(() => closed)));
  fan.add(listener('first'));
  fan.add(listener('second'));
  expect(told).toEqual([
    ['first', closed],
    ['second', closed],
  ]);
  expect(subscriptions).toBe(0);
});

test('one for each connection, and another one for what has to be done also when the client is closed', () => {
  const connection = connectionOf(states);
  expect(listenersOf(connection)).toBe(listenersOf(connection));
  expect(drainingListenersOf(connection)).toBe(drainingListenersOf(connection));
  expect(drainingListenersOf(connection)).not.toBe(listenersOf(connection));
  expect(listenersOf(connectionOf(states))).not.toBe(listenersOf(connection));
});

test('what a connection that was left at its first word says next, in the same breath, is heard by nobody', () => {
  const failed = new Error('failed');
  const speaking = new Observable<ConnectionState>((subscriber) => {
    subscriber.next(state(1));
    subscriber.next(state(2));
    subscriber.error(failed);
  });
  let member$: Observable<ConnectionState> = speaking;
  fan = new ConnectionListeners(counted(new Observable((subscriber) => member$.subscribe(subscriber))));
  const first = listener('first', () => {
    fan.remove(first);
    member$ = states;
    fan.add(listener('second'));
  });
  fan.add(first);
  fan.add(listener('third'));
  expect(told).toEqual([['first', 1]]);
  states.next(state(3));
  expect(told.slice(1)).toEqual([
    ['second', 3],
    ['third', 3],
  ]);
});
