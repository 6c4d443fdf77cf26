import { Etcd3, type IOptions } from 'etcd3';
import { repeat } from 'rxjs';
import { invalidArgument, reasonOf } from '../errors.ts';
import { unrefTimer$ } from '../time/unref-timer.ts';
import { MemoryFaults } from './memory-faults.ts';
import { MemoryStore } from './memory-store.ts';
import { CallHooks, type AnswerHook, type RequestHook, type SeenRequest } from './server/call-hooks.ts';
import { manualClock, realClock } from './server/clock.ts';
import { EtcdCore } from './server/core.ts';
import { MemberServer } from './server/member-server.ts';
import { behaviorOf, type EtcdVersion } from './server/versions.ts';
import type { EtcdMethod } from './wire/methods.ts';

/** How to start a {@link MemoryEtcd}. */
export interface MemoryEtcdOptions {
  /** Which release's behaviour clients see, where it differs. Default `'3.5'`. */
  readonly emulate?: EtcdVersion;
  /** How many members answer, from one store. Default 1. */
  readonly members?: number;
  /** The first member's port on 127.0.0.1. By default a free one. */
  readonly port?: number;
  /** `'manual'`: no lease ends and no delay passes but by {@link MemoryEtcd.advance}. Default `'real'`. */
  readonly time?: 'real' | 'manual';
  /** The smallest TTL that is granted, in seconds: smaller ones are raised to it. Default 2, as on a default cluster. */
  readonly minTtlSeconds?: number;
  /** Watches are numbered as by `etcd grpc-proxy`: from 0 on, whatever the client asked for. Default false. */
  readonly grpcProxy?: boolean;
}

const LOOK_EVERY_MS = 10;

/** How long {@link MemoryEtcd.until} waits. */
export interface UntilOptions {
  /** In real time. Default 10 000. */
  readonly withinMs?: number;
  /** Names the condition in the error. */
  readonly what?: string;
}

/**
 * An etcd inside the process, for tests: real gRPC on a free port of the loopback, for any etcd client, without a binary
 * and in milliseconds. Its store, its time and its faults are in the hand of the test. Nothing is kept on disk, and no
 * consensus is simulated: docs/testing.md lists what it does not do.
 *
 * It keeps the process alive until {@link MemoryEtcd.stop}, or the end of an `await using`.
 *
 * @example
 * ```ts
 * import { firstValueFrom } from 'rxjs';
 * import { watchPrefix$ } from 'rx-etcd';
 * import { MemoryEtcd } from 'rx-etcd/testing';
 *
 * await using etcd = await MemoryEtcd.start();
 * etcd.store.put('/services/user/a1', '10.0.0.7:8080');
 * console.log(await firstValueFrom(watchPrefix$(etcd.client(), '/services/user/')));
 * ```
 */
export class MemoryEtcd implements AsyncDisposable {
  /** What etcd would hold: to read and to write without a client. */
  readonly store: MemoryStore;
  /** What can go wrong. */
  readonly faults: MemoryFaults;
  readonly #core: EtcdCore;
  readonly #members: readonly MemberServer[];
  readonly #hooks: CallHooks;
  readonly #clients: Etcd3[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(core: EtcdCore, memberCount: number, isProxy: boolean) {
    this.#core = core;
    this.#hooks = new CallHooks(() => {
      this.#activity();
    });
    const members: MemberServer[] = [];
    for (let index = 0; index < memberCount; index++) {
      members.push(new MemberServer(core, members, index, this.#hooks, isProxy));
    }
    this.#members = members;
    this.faults = new MemoryFaults(core, members, this.#hooks);
    this.store = new MemoryStore(core, () => {
      for (const member of members) member.cut();
    });
  }

  /** Starts one; it answers when the promise resolves. A bad option throws. */
  static async start(options: MemoryEtcdOptions = {}): Promise<MemoryEtcd> {
    const { emulate = '3.5', members = 1, port = 0, time = 'real', minTtlSeconds = 2, grpcProxy = false } = options;
    if (!Number.isInteger(members) || members < 1) throw invalidArgument('members', 'a whole number above 0', members);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalidArgument('port', 'a TCP port', port);
    const times: readonly string[] = ['real', 'manual'];
    if (!times.includes(time)) throw invalidArgument('time', "'real' or 'manual'", time);
    const clock = time === 'real' ? realClock() : manualClock();
    const etcd = new MemoryEtcd(new EtcdCore(clock, behaviorOf(emulate), minTtlSeconds), members, grpcProxy);
    for (const [index, member] of etcd.#members.entries()) await member.listen(index === 0 ? port : 0);
    return etcd;
  }

  /** The members' addresses, for the `hosts` of an etcd3 client or the `--endpoints` of etcdctl. */
  get hosts(): string[] {
    return this.#members.map(({ clientUrl }) => clientUrl);
  }

  /** An etcd3 client of it, of your own etcd3. {@link MemoryEtcd.stop} closes it. */
  client(options: Omit<IOptions, 'hosts'> = {}): Etcd3 {
    const client = new Etcd3({ ...options, hosts: this.hosts });
    this.#clients.push(client);
    return client;
  }

  /** The requests that arrived, the messages of streams among them: the last ten thousand, the oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.#hooks.requests;
  }

  /**
   * Puts a function between the answers of a method and the wire: what it returns is sent instead. That is a message
   * (fields left out are zero), the bytes of one (which may be anything), an array of those, or `undefined` for none: then a
   * call stays unanswered. It may return a promise, and throw a `GrpcError` to end the call with it. Several are applied
   * in the order they were added.
   *
   * @returns a function that takes it away.
   * @example
   * ```ts
   * import { MemoryEtcd } from 'rx-etcd/testing';
   *
   * await using etcd = await MemoryEtcd.start();
   * etcd.answer('Range', (answer) => ({ ...answer, count: answer.count + 1 })); // a lie
   * etcd.answer('LeaseGrant', () => undefined); // never answered
   * etcd.answer('Watch', (answer) => [answer, Buffer.from('no message')]); // followed by garbage
   * ```
   */
  answer<M extends EtcdMethod>(method: M, hook: AnswerHook<M>): () => void {
    return this.#hooks.onAnswer(method, hook);
  }

  /**
   * Calls a function with every request before it is carried out. It may return a promise, and the request waits; what
   * it throws, best a `GrpcError`, ends the call.
   *
   * @returns a function that takes it away.
   */
  intercept(hook: RequestHook): () => void {
    return this.#hooks.onRequest(hook);
  }

  /** Moves the time of a server started with `time: 'manual'`: leases end and delays pass, each at its time. */
  advance(ms: number): void {
    this.#core.clock.advance(ms);
  }

  /**
   * Resolves when a condition holds: it is looked at now, after each request and each answer, and every 10 ms. Rejects when
   * the time is over, or with what the condition throws.
   */
  until(condition: () => boolean, options: UntilOptions = {}): Promise<void> {
    const { withinMs = 10_000, what = 'the condition' } = options;
    return new Promise<void>((resolve, reject) => {
      const overdue = unrefTimer$(withinMs).subscribe(() => {
        done();
        reject(new Error(`${what} did not come true within ${withinMs} ms`));
      });
      const done = (): void => {
        overdue.unsubscribe();
        looking.unsubscribe();
        this.#waiting.delete(look);
      };
      const look = (): void => {
        try {
          if (!condition()) return;
          done();
          resolve();
        } catch (error) {
          done();
          reject(error instanceof Error ? error : new Error(reasonOf(error)));
        }
      };
      this.#waiting.add(look);
      // Of what a client makes of the last answer, the server hears nothing.
      const looking = unrefTimer$(LOOK_EVERY_MS).pipe(repeat()).subscribe(look);
      look();
    });
  }

  /** Ends all connections, timers and clients made by {@link MemoryEtcd.client}. Calling it again does nothing. */
  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    this.#hooks.clear();
    await Promise.all(this.#members.map((member) => member.stop()));
    this.#core.stop();
  }

  /** {@link MemoryEtcd.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #activity(): void {
    for (const look of [...this.#waiting]) look();
  }
}
