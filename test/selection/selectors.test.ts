import * as fc from 'fast-check';
import { of, type OperatorFunction } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Snapshot } from '../../src/discovery/snapshot.ts';
import { consistentHash } from '../../src/selection/consistent-hash.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { peakEwma } from '../../src/selection/peak-ewma.ts';
import { randomHost } from '../../src/selection/random-host.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import type { Selector } from '../../src/selection/selector.ts';
import { sticky } from '../../src/selection/sticky.ts';
import { weighted } from '../../src/selection/weighted.ts';
import { hostsOf, latest, seededRandom, selecting } from './support.ts';

type Hosts = ReadonlyMap<string, string>;
type Select = OperatorFunction<Hosts, Selector<string>>;

// What every selector promises, whichever way it chooses.
const family: Record<string, (seed: number) => Select> = {
  roundRobin: (seed) => roundRobin({ random: seededRandom(seed) }),
  randomHost: (seed) => randomHost({ random: seededRandom(seed) }),
  weighted: (seed) => weighted((host) => 1 + (host.length % 3), { random: seededRandom(seed) }),
  leastLoaded: (seed) => leastLoaded({ random: seededRandom(seed) }),
  peakEwma: (seed) => peakEwma({ random: seededRandom(seed), scheduler: { now: () => 0 } }),
  consistentHash: (seed) => consistentHash({ random: seededRandom(seed) }),
  sticky: (seed) => sticky({ choose: randomHost({ random: seededRandom(seed) }) }),
};

const keySets = fc.uniqueArray(fc.constantFrom(...'abcdefghij'.split('')), { maxLength: 10 });
const asked = fc.record({ affinity: fc.option(fc.string(), { nil: undefined }), avoided: keySets });
const scenario = fc.record({
  seed: fc.nat(),
  snapshots: fc.boolean(),
  steps: fc.array(fc.record({ keys: keySets, asks: fc.array(asked, { maxLength: 6 }) }), { maxLength: 12 }),
});

describe.each(Object.entries(family))('%s, as every selector,', (_name, select) => {
  it('picks a host that is there and not avoided, and one whenever there is one', () => {
    fc.assert(
      fc.property(scenario, ({ seed, snapshots, steps }) => {
        const subject = selecting(select(seed));
        for (const { keys, asks } of steps) {
          subject.become(snapshots ? Snapshot.of(hostsOf(...keys)) : hostsOf(...keys));
          for (const { affinity, avoided } of asks) {
            const entry = subject.selector.pickEntry(affinity, (key) => avoided.includes(key));
            const allowed = keys.filter((key) => !avoided.includes(key));
            if (entry === undefined) expect(allowed).toEqual([]);
            else {
              expect(allowed).toContain(entry[0]);
              expect(entry[1]).toBe(`host ${entry[0]}`);
            }
          }
        }
      }),
    );
  });

  it('gives the value of the moment, and undefined when there is no host', () => {
    const subject = selecting(select(1));
    expect([subject.selector.pick(), subject.selector.pickEntry()]).toEqual([undefined, undefined]);
    subject.become(new Map([['a', 'old']]));
    expect(subject.selector.pick()).toBe('old');
    subject.become(new Map([['a', 'new']]));
    expect(subject.selector.pick()).toBe('new');
  });

  it('lets a replaced selector choose from the hosts it was made with', () => {
    const subject = selecting(select(1), hostsOf('a'));
    const old = subject.selector;
    subject.become(hostsOf('b'));
    expect([old.pick(), subject.selector.pick(), old.pick()]).toEqual(['host a', 'host b', 'host a']);
    expect([...old.hosts.keys()]).toEqual(['a']);
  });

  it('sees a Map that is changed in place and emitted again, and never picks undefined', () => {
    // Went wrong: the map was compared with itself, so hosts that were gone were picked as undefined.
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.option(fc.string(), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.nat(), (steps, seed) => {
        const hosts = new Map<string, string>();
        const subject = selecting(select(seed));
        for (const { key, value } of steps) {
          const before = new Map(hosts);
          subject.become(hosts);
          if (value === undefined) hosts.delete(key);
          else hosts.set(key, value);
          for (const [expected, selector] of [[before, subject.selector]] as const) {
            const entry = selector.pickEntry();
            if (expected.size === 0) expect(entry).toBeUndefined();
            else expect(entry?.[1]).toBe(expected.get(entry?.[0] as string));
          }
        }
      }),
    );
    const holes = selecting(select(1), new Map([['a', undefined as unknown as string]]));
    expect(holes.selector.pickEntry()).toBeUndefined();
    holes.become(Snapshot.of([['a', undefined as unknown as string]]));
    expect(holes.selector.pickEntry()).toBeUndefined();
  });

  it('refuses options that are null or misspelt, and gives an error for hosts that are no Map', () => {
    const errors: unknown[] = [];
    of([['a', 'host a']] as unknown as Hosts)
      .pipe(select(1))
      .subscribe({ error: (error: unknown) => errors.push(error) });
    expect(errors).toMatchObject([{ code: 'invalid-argument' }]);
  });

  it('passes errors and completion on', () => {
    const seen: unknown[] = [];
    of(hostsOf('a'))
      .pipe(select(1))
      .subscribe({ next: () => seen.push('next'), complete: () => seen.push('complete') });
    expect(seen).toEqual(['next', 'complete']);
    expect(latest(of(hostsOf('a')).pipe(select(1))).pick()).toBe('host a');
  });
});
