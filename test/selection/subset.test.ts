import * as fc from 'fast-check';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { subset } from '../../src/selection/subset.ts';
import { hostsOf, keysOf, latest } from './support.ts';

const anyClient = fc.oneof(fc.nat(1000), fc.string());

describe('subset', () => {
  it('leaves in as many hosts as asked for, or all when there are no more', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.integer({ min: 1, max: 30 }), anyClient, (count, size, client) => {
        expect(subsetOf(keysOf(count), size, client)).toHaveLength(Math.min(count, size));
      }),
    );
  });

  it('gives a client the same hosts whatever their order and whatever came before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 30 }),
        anyClient,
        (count, size, client) => {
          const keys = keysOf(count);
          expect(subsetOf(keys.toReversed(), size, client).sort()).toEqual(subsetOf(keys, size, client).sort());
        },
      ),
    );
  });

  it('gives hosts the same number of numbered clients, give or take one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 200 }),
        (count, size, clients) => {
          const served = clientsPerHost(count, Math.min(size, count), clients, (i) => i);
          expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('gives hosts the same number of named clients on average', () => {
    const served = clientsPerHost(50, 10, 1000, (i) => `web-${i}`);
    // 200 expected, binomial: five standard deviations.
    for (const clients of served) expect(Math.abs(clients - 200)).toBeLessThan(5 * Math.sqrt(160));
  });

  it('changes at most one host of a named client when a host comes or goes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.string(),
        fc.nat(),
        (count, size, client, which) => {
          const keys = keysOf(count);
          const gone = keys[which % count];
          const before = subsetOf(keys, size, client);
          const after = subsetOf(
            keys.filter((key) => key !== gone),
            size,
            client,
          );
          expect(before.filter((key) => !after.includes(key))).toEqual(before.filter((key) => key === gone));
        },
      ),
    );
  });

  it('refuses a size or a client that is none', () => {
    expect(() => subset(0, { client: 'a' })).toThrow(RxEtcdError);
    expect(() => subset(3, { client: -1 })).toThrow(RxEtcdError);
    expect(() => subset(3, { client: undefined as unknown as string })).toThrow(RxEtcdError);
  });
});

function subsetOf(keys: readonly string[], size: number, client: number | string): string[] {
  return [...latest(of(hostsOf(...keys)).pipe(subset(size, { client }))).keys()];
}

function clientsPerHost(count: number, size: number, clients: number, name: (i: number) => number | string): number[] {
  const served = new Map(keysOf(count).map((key) => [key, 0]));
  for (let i = 0; i < clients; i++) {
    for (const key of subsetOf(keysOf(count), size, name(i))) served.set(key, (served.get(key) as number) + 1);
  }
  return [...served.values()];
}
