import fc from 'fast-check';
import type { Subscription } from 'rxjs';
import { expect, test } from 'vitest';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import type { Snapshot } from '../../src/discovery/snapshot.ts';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import type { WatchRequest, WireEntry } from '../../src/etcd/member.ts';
import { FakeEtcd } from './fake-etcd.ts';
import { VirtualTime } from '../support/virtual-time.ts';

type Op =
  | { readonly do: 'write'; readonly keys: readonly number[]; readonly deletes: boolean }
  | { readonly do: 'writeElsewhere' | 'compact' | 'up' | 'down' | 'resubscribe' | 'settle' }
  | { readonly do: 'replace'; readonly back: number; readonly writes: number }
  | { readonly do: 'answer' | 'failCall' | 'failWatch'; readonly index: number }
  | { readonly do: 'watch'; readonly index: number; readonly revisions: number }
  | { readonly do: 'advance'; readonly ms: number };

const index = fc.nat(3);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      keys: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 3 }),
      deletes: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('writeElsewhere' as const, 'compact' as const, 'resubscribe' as const, 'settle' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('up' as const, 'up' as const, 'down' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('replace' as const),
      back: fc.integer({ min: 0, max: 12 }),
      writes: fc.nat(8),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('answer' as const), index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('failCall' as const, 'failWatch' as const), index }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('watch' as const), index, revisions: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 300, 5000) }) },
);

/** Runs the code and the model side by side; throws where they differ. */
class Run {
  readonly etcd = new FakeEtcd((request) => this.#guard(() => this.#checkRequest(request)));
  readonly #scheduler = new VirtualTime();
  #subscription: Subscription | undefined;
  #states: PrefixState<string>[] = [];
  #snapshots: Snapshot<string>[] = [];
  /** What the last snapshot held, with revisions. */
  #known: readonly WireEntry[] = [];
  #written = 0;
  #failure: unknown;
  /** Where histories differ that the proof cannot tell apart (its limit, by design): nothing is expected any more. */
  #blind = false;
  /** Since the subscription, changes could have been summed up. */
  #summed = false;

  subscribe(): void {
    this.#states = [];
    this.#snapshots = [];
    this.#summed = false;
    this.#subscription = watchRange$<string>(
      this.etcd.connection,
      { key: Uint8Array.of(107), rangeEnd: Uint8Array.of(108), namespaceBytes: 0 },
      { scheduler: this.#scheduler, random: () => 0.5 },
    ).subscribe({
      next: (state) => this.#guard(() => this.#check(state)),
      error: (error: unknown) => {
        this.#failure ??= error;
      },
    });
  }

  // RxJS would report what a subscriber throws later, and to nobody.
  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  apply(step: Op): void {
    const { etcd } = this;
    const before = etcd.asked;
    switch (step.do) {
      case 'write':
        this.#write(step.keys, step.deletes);
        break;
      case 'writeElsewhere':
        etcd.write(new Map());
        break;
      case 'compact':
        etcd.compact(etcd.revision);
        this.#summed = true;
        break;
      case 'up':
        etcd.up();
        break;
      case 'down':
        etcd.down();
        break;
      case 'replace':
        // Nobody replaces a history under a living connection.
        etcd.down();
        etcd.restore(etcd.revision - step.back);
        for (let n = 0; n < step.writes; n++) this.#write([n % 5], n % 3 === 0);
        this.#summed = true;
        break;
      case 'answer':
        etcd.calls[step.index % etcd.calls.length]?.answer();
        break;
      case 'failCall':
        etcd.calls[step.index % etcd.calls.length]?.fail('busy');
        break;
      case 'failWatch':
        etcd.watches[step.index % etcd.watches.length]?.fail('busy');
        break;
      case 'watch': {
        const watch = etcd.watches[step.index % etcd.watches.length];
        if (step.revisions > 1 && watch?.idle === false) this.#summed = true;
        watch?.step(step.revisions);
        break;
      }
      case 'advance':
        this.#scheduler.advance(step.ms);
        break;
      case 'resubscribe':
        this.end();
        this.subscribe();
        break;
      case 'settle':
        this.settle();
        break;
    }
    this.#rethrow();
    // Whatever happens, it is answered by a few requests, not by a storm of them.
    if (step.do === 'failWatch') expect(etcd.asked).toBe(before);
    else if (step.do !== 'settle') expect(etcd.asked - before).toBeLessThanOrEqual(step.do === 'advance' ? 6 : 4);
  }

  /** Everything is answered: then the last state is the truth, and every change was told. */
  settle(): void {
    const { etcd } = this;
    if (etcd.member === undefined) etcd.up();
    for (let round = 0; round < 200; round++) {
      this.#scheduler.advance(2000);
      for (const call of [...etcd.calls]) call.answer();
      for (const watch of [...etcd.watches]) if (!watch.idle) watch.step(1);
      if (etcd.calls.length === 0 && etcd.watches.length === 1 && etcd.watches.every(({ idle }) => idle)) break;
    }
    this.#rethrow();
    expect(etcd.calls).toHaveLength(0);
    expect(etcd.watches).toHaveLength(1);
    if (this.#blind) return;
    const last = this.#states.at(-1);
    expect(last?.status).toBe('live');
    expect(contentOf(this.#snapshots.at(-1))).toEqual(this.#truthAt(etcd.revision));
    if (!this.#summed) this.#checkEachTold();
  }

  end(): void {
    this.#subscription?.unsubscribe();
    expect(this.etcd.calls).toHaveLength(0);
    expect(this.etcd.watches).toHaveLength(0);
    const { asked } = this.etcd;
    this.#scheduler.advance(10_000);
    expect(this.etcd.asked).toBe(asked);
  }

  #write(keys: readonly number[], deletes: boolean): void {
    this.etcd.write(
      new Map(keys.map((key, at) => [`k${key}`, deletes && at === 0 ? undefined : `value ${++this.#written}`])),
    );
  }

  #truthAt(revision: number): [string, string][] {
    return this.etcd.entriesAt(revision).map(({ key, value }) => [key, Buffer.from(value).toString()]);
  }

  #check(state: PrefixState<string>): void {
    const previous = this.#states.at(-1);
    const known = this.#snapshots.at(-1);
    this.#states.push(state);
    if (this.#blind) return;
    switch (state.status) {
      case 'pending':
        // Once something is known, it stays known.
        expect(known).toBeUndefined();
        return;
      case 'stale':
        expect(state.snapshot).toBe(known);
        expect(state.attempt).toBeGreaterThan(0);
        if (previous?.status === 'stale') {
          expect(state.sinceMs).toBe(previous.sinceMs);
          expect(state.attempt).toBe(previous.attempt + 1);
        } else expect(state.sinceMs).toBe(this.#scheduler.now());
        return;
      case 'live':
        expect(state.snapshot.revision).toBeLessThanOrEqual(this.etcd.revision);
        if (state.snapshot === known) return;
        expect(contentOf(state.snapshot)).toEqual(this.#truthAt(state.snapshot.revision));
        if (known !== undefined && state.resync !== 'history-replaced') {
          expect(state.snapshot.revision).toBeGreaterThan(known.revision);
        }
        this.#snapshots.push(state.snapshot);
        this.#known = this.etcd.entriesAt(state.snapshot.revision);
        return;
    }
  }

  /**
   * A watch asks for what was not told yet, and for all of it: what is known must be what was there just before.
   * Once it is not, either the code is wrong, or two histories have the same fingerprint there.
   */
  #checkRequest({ startRevision }: WatchRequest): void {
    const known = this.#snapshots.at(-1);
    if (known === undefined || this.#blind) return;
    const position = startRevision - 1;
    expect(position).toBeGreaterThanOrEqual(known.revision);
    if (position <= this.etcd.revision && position >= this.etcd.compacted && this.#isLookalike(position))
      this.#blind = true;
  }

  #isLookalike(revision: number): boolean {
    const entries = this.etcd.entriesAt(revision);
    if (JSON.stringify(entries) === JSON.stringify(this.#known)) return false;
    const { count, newest } = this.etcd.fingerprintAt(revision);
    if (count !== this.#known.length) return false;
    const highest = Math.max(0, ...this.#known.map(({ modRevision }) => modRevision));
    const same = this.#known.find(({ key }) => key === newest?.key);
    return highest === (newest?.modRevision ?? 0) && JSON.stringify(same) === JSON.stringify(newest);
  }

  /** Told one revision at a time and with nothing compacted, every revision that changed something has its snapshot. */
  #checkEachTold(): void {
    const [first] = this.#snapshots;
    const told = this.#snapshots.map(({ revision }) => revision);
    const expected = [first?.revision];
    for (let revision = (first?.revision ?? 0) + 1; revision <= this.etcd.revision; revision++) {
      if (this.etcd.eventsAt(revision).length > 0) expected.push(revision);
    }
    expect(told).toEqual(expected);
  }
}

function contentOf(snapshot: Snapshot<string> | undefined): [string, string][] {
  return [...(snapshot ?? [])];
}

test('in any order of answers, events, faults, compactions and histories, every change is told, and truly', () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 120, size: 'max' }), (ops) => {
      const run = new Run();
      run.subscribe();
      for (const step of ops) run.apply(step);
      run.settle();
      run.end();
    }),
    { numRuns: 600 },
  );
}, 60_000);
