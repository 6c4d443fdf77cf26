import * as fc from 'fast-check';
import { map, of, pipe, retry, throwError } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { balance } from '../../src/selection/balance.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { preferZone, type PreferZoneOptions } from '../../src/selection/prefer-zone.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import { weighted } from '../../src/selection/weighted.ts';
import { countPicks, selecting } from './support.ts';

const zoneOf = (zone: string): string | undefined => (zone === '' ? undefined : zone);
const anyHosts = fc.array(fc.constantFrom('eu', 'us', ''), { minLength: 1, maxLength: 12 });
const hostsIn = (zones: readonly string[]): ReadonlyMap<string, string> =>
  new Map(zones.map((zone, i) => [`${zone}${i}`, zone]));
const zonesOf = (near: number, far: number): string[] => [
  ...Array<string>(near).fill('eu'),
  ...Array<string>(far).fill('us'),
];

function preferring(zones: readonly string[], options: PreferZoneOptions<string> = {}) {
  const time = { ms: 0 };
  const operator = preferZone('eu', zoneOf, {
    scheduler: { now: () => time.ms },
    outlierDetection: { failures: 1, baseMs: 1000 },
    ...options,
  });
  const subject = selecting(operator, hostsIn(zones));
  const fail = (key: string): void => subject.selector.started(key)({ result: 'failed', latencyMs: 1 });
  const farPicks = (picks: number): number => {
    let far = 0;
    for (const [key, count] of countPicks(subject.selector, picks)) if (!key.startsWith('eu')) far += count;
    return far;
  };
  return { time, subject, fail, farPicks };
}

describe('preferZone', () => {
  it('chooses evenly in the zone when it has enough hosts, otherwise among all', () => {
    fc.assert(
      fc.property(anyHosts, fc.nat(4), (zones, minHosts) => {
        const { subject } = preferring(zones, { minHosts });
        const inZone = zones.filter((zone) => zone === 'eu').length;
        const isEnough = inZone > 0 && inZone >= minHosts;
        const expected = [...hostsIn(zones)].filter(([, zone]) => !isEnough || zone === 'eu').map(([key]) => key);
        const counts = countPicks(subject.selector, 5 * expected.length);
        expect([...counts].filter(([, count]) => count > 0)).toEqual(expected.sort().map((key) => [key, 5]));
      }),
    );
  });

  it('gets all calls through when every near host fails', () => {
    // Went wrong: 0 of 60 calls with retry(3), although nine far hosts were well.
    const hosts$ = of(hostsIn(zonesOf(3, 9)));
    const call$ = balance(hosts$, preferZone('eu', zoneOf));
    let got = 0;
    for (let i = 0; i < 60; i++) {
      call$((zone) => (zone === 'eu' ? throwError(() => 'down') : of(zone)))
        .pipe(retry(3))
        .subscribe({ next: () => got++, error: () => {} });
    }
    expect(got).toBe(60);
  });

  it('spills over exactly as many calls as the healthy part of the zone cannot carry', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }), fc.nat(10), (near, far, bad) => {
        const { subject, fail, farPicks } = preferring(zonesOf(near, far));
        const failing = [...subject.selector.hosts.keys()].filter((key) => key.startsWith('eu')).slice(0, bad);
        for (const key of failing) fail(key);
        const nearLoad = Math.min(1, (1.4 * (near - failing.length)) / near);
        expect(Math.abs(farPicks(400) - 400 * (1 - nearLoad))).toBeLessThanOrEqual(2);
        // Inside of the zone, those that are well share what it takes.
        const counts = countPicks(subject.selector, 400);
        for (const key of failing) expect(counts.get(key)).toBe(0);
      }),
    );
  });

  it('gives a zone that comes back a few calls at first, and all of them once it has answered', () => {
    const { time, subject, fail, farPicks } = preferring(zonesOf(3, 9));
    const near = ['eu0', 'eu1', 'eu2'];
    near.forEach(fail);
    expect(farPicks(100)).toBe(100);
    time.ms = 1000;
    expect(Math.abs(farPicks(100) - 86)).toBeLessThanOrEqual(1);
    for (const key of near) subject.selector.started(key)({ result: 'answered', latencyMs: 1 });
    expect(farPicks(100)).toBe(0);
  });

  it('goes to the next zone, and then the next', () => {
    const operator = preferZone(['eu', 'us'], zoneOf, { outlierDetection: { failures: 1 } });
    const { selector } = selecting(operator, hostsIn(['eu', 'us', 'us', 'asia']));
    const order: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const key = selector.pickEntry()?.[0] as string;
      order.push(key);
      selector.started(key)({ result: 'failed', latencyMs: 1 });
    }
    expect(order).toEqual(['eu0', expect.stringMatching('us'), expect.stringMatching('us|asia'), expect.anything()]);
  });

  it('chooses from all when none is well, and goes elsewhere when the near ones are to be avoided', () => {
    const { subject, fail } = preferring(zonesOf(2, 2));
    expect(subject.selector.pickEntry(undefined, (key) => key.startsWith('eu'))?.[1]).toBe('us');
    expect(subject.selector.pickEntry(undefined, () => true)).toBeUndefined();
    for (const key of subject.selector.hosts.keys()) fail(key);
    expect([...countPicks(subject.selector, 40).values()]).toEqual([10, 10, 10, 10]);
  });

  it('keeps an affinity in its zone', () => {
    const { subject, fail } = preferring(zonesOf(4, 4), { choose: roundRobin() });
    fail('eu0');
    fail('eu1');
    fail('eu2');
    const zoneFor = (user: string): unknown => subject.selector.pick(user);
    const users = Array.from({ length: 200 }, (_, i) => `user ${i}`);
    const before = users.map(zoneFor);
    expect(users.map(zoneFor)).toEqual(before);
    // 1.4 times a quarter.
    expect(Math.abs(before.filter((zone) => zone === 'eu').length - 70)).toBeLessThan(30);
  });

  it('chooses in each zone as it is told, and tells that selector of calls', () => {
    const byWeight = preferring(['eu', 'eu', 'us'], { choose: weighted((_, key) => (key === 'eu0' ? 3 : 1)) });
    expect(countPicks(byWeight.subject.selector, 8).get('eu0')).toBe(6);
    const { selector } = preferring(['eu', 'eu', 'us'], { choose: leastLoaded() }).subject;
    selector.started('eu0');
    expect(selector.pickEntry()?.[0]).toBe('eu1');
  });

  it('gives one selector for each emission, and passes errors of zoneOf on', () => {
    const seen: unknown[] = [];
    const hosts$ = of(hostsIn(['eu', 'us']), hostsIn(['us']));
    hosts$
      .pipe(
        pipe(
          preferZone('eu', zoneOf),
          map((selector) => selector.pickEntry()?.[0]),
        ),
      )
      .subscribe({
        next: (key) => seen.push(key),
        complete: () => seen.push('complete'),
      });
    const bad = preferZone('eu', () => {
      throw 'bad zone';
    });
    hosts$.pipe(bad).subscribe({ error: (error: unknown) => seen.push(error) });
    expect(seen).toEqual(['eu0', 'us0', 'complete', 'bad zone']);
  });

  it('refuses bad arguments', () => {
    expect(() => preferZone(1 as unknown as string, zoneOf)).toThrow(RxEtcdError);
    expect(() => preferZone([], zoneOf)).toThrow(RxEtcdError);
    expect(() => preferZone('eu', 'zone' as unknown as () => string)).toThrow(RxEtcdError);
    expect(() => preferZone('eu', zoneOf, { minHosts: NaN })).toThrow(RxEtcdError);
    expect(() => preferZone('eu', zoneOf, { choose: roundRobin as never })).toThrow(/options.choose/);
  });
});
