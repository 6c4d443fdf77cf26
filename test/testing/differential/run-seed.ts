import { inspect } from 'node:util';
import type { Compare, RequestOp, TxnRequest } from '../../../src/testing/wire/kv-messages.ts';
import type { EtcdMethod, RequestOf, ResponseOf } from '../../../src/testing/wire/methods.ts';
import type { PartialMessage } from '../../../src/testing/wire/protobuf.ts';
import { eventually } from '../../support/eventually.ts';
import type { RawClient } from './raw-client.ts';

const KEYS = ['a', 'b', 'c', 'ab', 'a\0', 'b\xff', '\xff', '\xff\xff', 'd', 'e'];
const LEASES = [71n, 72n, 73n, 9_007_199_254_740_993n];

/** Two servers that have the same history, and shall go on to have it. */
export interface Pair {
  readonly real: RawClient;
  readonly memory: RawClient;
  /** Whether all watchers of the real one have caught up: nothing on the wire says so. */
  isSynced(): Promise<boolean>;
}

/** Random operations on both; throws where they differ. Both have the same history after it, so that seeds follow one another. */
export async function runSeed(pair: Pair, seed: number, steps: number): Promise<void> {
  const run = new SeedRun(pair, seed);
  try {
    for (let step = 0; step < steps; step++) await run.step();
    await run.settle();
  } catch (error) {
    throw new Error(`seed ${seed}, after ${run.log.slice(-4).join('\n  ')}`, { cause: error });
  } finally {
    run.end();
  }
}

class SeedRun {
  readonly log: string[] = [];
  readonly #pair: Pair;
  readonly #random: () => number;
  #real: WatchLog;
  #memory: WatchLog;
  #revision = 1;
  #nextWatchId = 1;

  constructor(pair: Pair, seed: number) {
    this.#pair = pair;
    this.#random = mulberry32(seed);
    this.#real = new WatchLog(pair.real);
    this.#memory = new WatchLog(pair.memory);
  }

  async step(): Promise<void> {
    const kind = this.#below(100);
    if (kind < 25) await this.#both('Put', this.#put());
    else if (kind < 33) await this.#both('DeleteRange', this.#deleteRange(true));
    else if (kind < 55) await this.#both('Range', this.#range(true));
    else if (kind < 72) await this.#both('Txn', this.#txn(2));
    else if (kind < 75) await this.#compact();
    else if (kind < 79)
      await this.#both('LeaseGrant', { id: this.#of(LEASES), ttl: this.#of([600, 1000, 10_000_000_000]) });
    else if (kind < 82) await this.#both('LeaseRevoke', { id: this.#of(LEASES) });
    else if (kind < 84) await this.#both('LeaseTimeToLive', { id: this.#of(LEASES), keys: this.#chance(0.7) });
    else if (kind < 85) await this.#both('LeaseLeases', {});
    else if (kind < 94) await this.#watch();
    else if (kind < 96) await this.#cancel();
    else if (kind < 97) await this.#progress();
    else await this.#reconnect();
  }

  /** Waits until both have told their watchers the same. */
  async settle(): Promise<void> {
    // What the memory told is here before its answer to a later call: the real one has to come to the same.
    await this.#pair.memory.call('LeaseLeases', {});
    await eventually(() => this.#real.text() === this.#memory.text(), { withinMs: 5000, everyMs: 3 }).catch(() => {
      throw new Error(`watches differ: real\n${this.#real.text()}\nmemory\n${this.#memory.text()}`);
    });
  }

  end(): void {
    this.#real.close();
    this.#memory.close();
  }

  async #both<M extends EtcdMethod>(method: M, request: PartialMessage<RequestOf<M>>): Promise<void> {
    this.log.push(`${method} ${show(request)}`);
    const [real, memory] = await Promise.all([
      this.#pair.real.call(method, request),
      this.#pair.memory.call(method, request),
    ]);
    if ('header' in real) this.#revision = Math.max(this.#revision, real.header?.revision ?? 0);
    const [expected, got] = [real, memory].map((answer) => show(normalized(method, answer)));
    if (expected !== got) throw new Error(`${method} differs: real ${expected}, memory ${got}`);
  }

  async #compact(): Promise<void> {
    // A watcher that is behind is canceled by a compaction, and in which moment it has caught up is left to chance.
    await eventually(() => this.#pair.isSynced(), { withinMs: 5000, what: 'watchers in step' });
    await this.settle();
    // Physical: else etcd answers first, and forgets a deletion at the compacted revision some time later.
    await this.#both('Compact', { revision: this.#nearRevision(), physical: true });
  }

  async #watch(): Promise<void> {
    const watchId = this.#chance(0.1) ? this.#below(this.#nextWatchId + 1) : this.#nextWatchId++;
    const createRequest = {
      key: this.#key(),
      rangeEnd: this.#end(true),
      startRevision: this.#chance(0.5) ? 0 : Math.max(0, this.#nearRevision()),
      prevKv: this.#chance(0.5),
      filters: this.#chance(0.2) ? [this.#below(2)] : [],
      fragment: this.#chance(0.5),
      watchId: BigInt(watchId),
    };
    this.log.push(`Watch ${show(createRequest)}`);
    await Promise.all([this.#real.send({ createRequest }), this.#memory.send({ createRequest })]);
    await this.settle();
  }

  async #cancel(): Promise<void> {
    await this.settle();
    const watchId = BigInt(this.#below(this.#nextWatchId + 1));
    this.log.push(`cancel ${watchId}`);
    this.#real.stream.send({ cancelRequest: { watchId } });
    this.#memory.stream.send({ cancelRequest: { watchId } });
    await this.#progress();
  }

  async #progress(): Promise<void> {
    await this.settle();
    this.log.push('progress');
    this.#real.stream.send({ progressRequest: {} });
    this.#memory.stream.send({ progressRequest: {} });
    // Not every version answers it at all times.
    await this.#pair.memory.call('LeaseLeases', {});
    await eventually(() => this.#real.progress >= this.#memory.progress, {
      withinMs: 5000,
      everyMs: 1,
      what: 'progress',
    });
    await this.settle();
  }

  async #reconnect(): Promise<void> {
    await this.settle();
    this.log.push('reconnect');
    this.end();
    this.#pair.real.reconnect();
    this.#pair.memory.reconnect();
    this.#real = new WatchLog(this.#pair.real);
    this.#memory = new WatchLog(this.#pair.memory);
    this.#nextWatchId = 1;
  }

  #put(): PartialMessage<RequestOf<'Put'>> {
    const ignoreValue = this.#chance(0.1);
    const ignoreLease = this.#chance(0.1);
    return {
      key: this.#key(),
      value: ignoreValue && this.#chance(0.8) ? Buffer.alloc(0) : Buffer.from(String(this.#below(20))),
      lease: this.#chance(0.3) ? this.#of(LEASES) : 0n,
      prevKv: this.#chance(0.3),
      ignoreValue,
      ignoreLease,
    };
  }

  #deleteRange(takesAll: boolean): PartialMessage<RequestOf<'DeleteRange'>> {
    return { key: this.#key(), rangeEnd: this.#end(takesAll), prevKv: this.#chance(0.5) };
  }

  #range(takesEmptyEnd: boolean): PartialMessage<RequestOf<'Range'>> {
    const bound = (): number => (this.#chance(0.1) ? Math.max(0, this.#nearRevision()) : 0);
    return {
      key: this.#key(),
      rangeEnd: takesEmptyEnd && this.#chance(0.1) ? Buffer.alloc(0) : this.#end(true),
      limit: this.#chance(0.4) ? this.#below(5) - 1 : 0,
      revision: this.#chance(0.4) ? this.#nearRevision() : 0,
      sortOrder: this.#below(3),
      sortTarget: this.#below(5),
      serializable: this.#chance(0.3),
      keysOnly: this.#chance(0.2),
      countOnly: this.#chance(0.1),
      minModRevision: bound(),
      maxModRevision: bound(),
      minCreateRevision: bound(),
      maxCreateRevision: bound(),
    };
  }

  #txn(depth: number): PartialMessage<TxnRequest> {
    const some = <T>(make: () => T): T[] => Array.from({ length: this.#below(4) }, make);
    return {
      compare: this.#chance(0.5) ? some(() => this.#compare()) : [],
      success: some(() => this.#op(depth)),
      failure: some(() => this.#op(depth)),
    };
  }

  #op(depth: number): PartialMessage<RequestOp> {
    const kind = this.#below(10);
    if (kind < 3) return { range: this.#range(false) };
    if (kind < 7) return { put: this.#put() };
    if (kind < 9 || depth === 0) return { deleteRange: this.#deleteRange(false) };
    return { txn: this.#txn(depth - 1) };
  }

  #compare(): PartialMessage<Compare> {
    const target = this.#below(5);
    const value = this.#below(4);
    return {
      key: this.#key(),
      rangeEnd: this.#chance(0.2) ? this.#end(true) : undefined,
      result: this.#below(4),
      target,
      version: target === 0 ? value : undefined,
      createRevision: target === 1 ? Math.max(0, this.#nearRevision()) : undefined,
      modRevision: target === 2 ? Math.max(0, this.#nearRevision()) : undefined,
      value: target === 3 ? Buffer.from(String(value)) : undefined,
      lease: target === 4 ? this.#of([0n, ...LEASES]) : undefined,
    };
  }

  #key(): Buffer {
    return this.#chance(0.02) ? Buffer.alloc(0) : Buffer.from(this.#of(KEYS), 'latin1');
  }

  /** `undefined` for one key; now and then one before the key. */
  #end(takesAll: boolean): Buffer | undefined {
    if (this.#chance(0.5)) return undefined;
    return Buffer.from(takesAll && this.#chance(0.3) ? '\0' : this.#of(KEYS), 'latin1');
  }

  #nearRevision(): number {
    return this.#revision + 3 - this.#below(20);
  }

  #of<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}

/** What the watchers of a stream were told, each for itself: how answers are cut is the server's matter. */
class WatchLog {
  readonly stream: { send(request: PartialMessage<RequestOf<'Watch'>>): void; close(): void };
  readonly #told = new Map<bigint, string[]>();
  #answered = 0;
  #asked = 0;
  /** How many answers to progress requests there were. */
  progress = 0;

  constructor(client: RawClient) {
    this.stream = client.stream('Watch', (answer) => {
      this.#add(answer);
    });
  }

  /** Resolves when the create is answered. */
  async send(request: PartialMessage<RequestOf<'Watch'>>): Promise<void> {
    this.#asked += 1;
    this.stream.send(request);
    await eventually(() => this.#answered === this.#asked, { withinMs: 5000, everyMs: 1, what: 'a watch created' });
  }

  text(): string {
    return [...this.#told]
      .sort(([a], [b]) => Number(a - b))
      .map(([id, told]) => `${id}: ${told.join(' ')}`)
      .join('\n');
  }

  close(): void {
    this.stream.close();
  }

  #add(answer: ResponseOf<'Watch'>): void {
    if (answer.created) this.#answered += 1;
    else if (answer.watchId === -1n) this.progress += 1;
    const told = this.#told.get(answer.watchId) ?? [];
    this.#told.set(answer.watchId, told);
    for (const event of answer.events) told.push(show(event));
    if (answer.events.length > 0) return;
    const { created, canceled, compactRevision, cancelReason, header } = answer;
    told.push(show({ created, canceled, compactRevision, cancelReason, revision: header?.revision }));
  }
}

function normalized(method: EtcdMethod, answer: object): object {
  if (method === 'LeaseLeases') {
    const { leases = [] } = answer as Partial<ResponseOf<'LeaseLeases'>>;
    return leases.map(({ id }) => id).sort();
  }
  if (method === 'LeaseTimeToLive') {
    const { header, ttl, keys, ...rest } = answer as ResponseOf<'LeaseTimeToLive'>;
    // Seconds pass, and Go's maps have no order.
    return { ...rest, there: ttl >= 0, keys: keys.map(show).sort(), revision: header?.revision };
  }
  return answer;
}

/** As text, without who answered. */
function show(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'clusterId' in value && 'revision' in value) {
    return `@${String(value.revision)}`;
  }
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('latin1'));
  if (Array.isArray(value)) return `[${value.map(show).join()}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{${fields.map(([name, each]) => `${name}:${show(each)}`).join()}}`;
  }
  return inspect(value);
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
