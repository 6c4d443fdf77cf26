import * as fc from 'fast-check';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { preferZone } from '../../src/selection/prefer-zone.ts';
import { latest } from './support.ts';

const zoneOf = (zone: string): string | undefined => (zone === '' ? undefined : zone);
const anyHosts = fc.array(fc.constantFrom('eu', 'us', ''), { maxLength: 12 });

describe('preferZone', () => {
  it('leaves in the zone when it has enough hosts, otherwise all', () => {
    fc.assert(
      fc.property(anyHosts, fc.nat(4), (zones, minHosts) => {
        const hosts = new Map(zones.map((zone, i) => [`h${i}`, zone]));
        const near = latest(of(hosts).pipe(preferZone('eu', zoneOf, { minHosts })));
        const inZone = zones.filter((zone) => zone === 'eu').length;
        if (inZone > 0 && inZone >= minHosts) expect([...near.values()]).toEqual(Array(inZone).fill('eu'));
        else expect(near).toBe(hosts);
      }),
    );
  });

  it('refuses bad arguments', () => {
    expect(() => preferZone(1 as unknown as string, zoneOf)).toThrow(RxEtcdError);
    expect(() => preferZone('eu', 'zone' as unknown as () => string)).toThrow(RxEtcdError);
    expect(() => preferZone('eu', zoneOf, { minHosts: NaN })).toThrow(RxEtcdError);
  });
});
