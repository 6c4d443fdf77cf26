import { invalidArgument } from '../errors.ts';
import { durationMs } from '../time/durations.ts';
import type { CallHooks } from './server/call-hooks.ts';
import type { EtcdCore } from './server/core.ts';
import type { MemberServer } from './server/member-server.ts';
import { GrpcError, type GrpcCode } from './wire/grpc-error.ts';
import type { EtcdMethod } from './wire/methods.ts';

/** How a method fails. */
export interface FailOptions {
  /** Default `'UNAVAILABLE'`. */
  readonly code?: GrpcCode;
  /** Default `'etcdserver: request timed out'`. */
  readonly message?: string;
  /** How many requests fail. Default 1. */
  readonly times?: number;
}

/**
 * What can go wrong with a memory etcd, in the hand of a test. `member` is the index of a member; without it, all of
 * them.
 */
export class MemoryFaults {
  readonly #core: EtcdCore;
  readonly #members: readonly MemberServer[];
  readonly #hooks: CallHooks;

  /** @internal */
  constructor(core: EtcdCore, members: readonly MemberServer[], hooks: CallHooks) {
    this.#core = core;
    this.#members = members;
    this.#hooks = hooks;
  }

  /** Resets all connections; new ones are taken. */
  cut(member?: number): void {
    for (const each of this.#chosen(member)) each.cut();
  }

  /** Goes away as a killed process does: connections are reset, and new ones refused until {@link MemoryFaults.comeBack}. */
  async goDown(member?: number): Promise<void> {
    await Promise.all(this.#chosen(member).map((each) => each.stop()));
  }

  /** Refuses new connections until {@link MemoryFaults.comeBack}; those that are there stay. */
  async refuse(member?: number): Promise<void> {
    await Promise.all(this.#chosen(member).map((each) => each.refuse()));
  }

  /** Listens again on the same ports. As after a restart of etcd, all leases have their whole TTL again. */
  async comeBack(member?: number): Promise<void> {
    await Promise.all(this.#chosen(member).map((each) => each.listen()));
    this.#core.leases.renewAll();
  }

  /** Stops all bytes, both ways, as a stopped process does, until {@link MemoryFaults.thaw}. Connections stay open. */
  freeze(member?: number): void {
    for (const each of this.#chosen(member)) each.faults.frozen = true;
  }

  /** What was frozen goes on. */
  thaw(member?: number): void {
    for (const each of this.#chosen(member)) each.thaw();
  }

  /** Swallows all bytes, both ways, and the ends of connections. What was swallowed is lost, also when it is switched off. */
  blackHole(on: boolean, member?: number): void {
    for (const each of this.#chosen(member)) each.faults.blackHole = on;
  }

  /** Delays what is sent to clients, by the server's time. 0 ends it. */
  delay(delayMs: number, member?: number): void {
    durationMs('delayMs', delayMs);
    for (const each of this.#chosen(member)) each.faults.delayMs = delayMs;
  }

  /** Resets a connection after so many more bytes to clients: in the middle of a message, if it happens so. Once. */
  resetAfter(bytes: number, member?: number): void {
    if (!Number.isInteger(bytes) || bytes < 0) throw invalidArgument('bytes', 'a whole number from 0', bytes);
    for (const each of this.#chosen(member)) each.faults.resetAfterBytes = bytes;
  }

  /** Sends an HTTP/2 GOAWAY on all connections: calls in flight are answered, new ones go over new connections. */
  goAway(member?: number): void {
    for (const each of this.#chosen(member)) each.goAway();
  }

  /** The next requests of a method fail, and are not carried out. Returns a function that ends it. */
  fail(method: EtcdMethod, options: FailOptions = {}): () => void {
    const { code = 'UNAVAILABLE', message = 'etcdserver: request timed out', times = 1 } = options;
    let left = times;
    return this.#hooks.onRequest((seen) => {
      if (seen.method !== method || left <= 0) return;
      left -= 1;
      throw new GrpcError(code, message);
    });
  }

  /** The next requests of a method are carried out, and their connections reset instead of answered. */
  loseAnswers(method: EtcdMethod, times: number = 1): () => void {
    let left = times;
    return this.#hooks.onAnswer(method, (answer) => {
      if (left <= 0) return answer;
      left -= 1;
      this.cut();
      return undefined;
    });
  }

  /** Events reach watchers so much later, by the server's time. 0 ends it. */
  slowWatch(lagMs: number): void {
    this.#core.hub.lagMs = durationMs('lagMs', lagMs);
  }

  /**
   * A member loses its leader, or all do, as clients see it: writes and linearizable reads time out after 7 s, watches
   * hear nothing, and a stream that asks for a leader ends with "no leader" after 2 s.
   */
  loseLeader(member?: number): void {
    for (const each of this.#chosen(member)) each.leadership.lose();
  }

  /** There is a leader again; watches hear what they missed. */
  regainLeader(member?: number): void {
    for (const each of this.#chosen(member)) each.leadership.regain();
    this.#core.raftTerm += 1;
  }

  /** The database is full, or not any more: puts and grants are refused with RESOURCE_EXHAUSTED. */
  outOfSpace(on: boolean): void {
    const alarm = `${String(this.#members[0]?.id ?? 0n)}:1`;
    if (on) this.#core.alarms.add(alarm);
    else this.#core.alarms.delete(alarm);
  }

  #chosen(member: number | undefined): readonly MemberServer[] {
    if (member === undefined) return this.#members;
    const chosen = this.#members[member];
    if (chosen === undefined) throw invalidArgument('member', `a member from 0 to ${this.#members.length - 1}`, member);
    return [chosen];
  }
}
