import { describe, expect, it } from 'vitest';
import { RxEtcdError } from '../../src/errors.ts';
import { leastLoaded } from '../../src/selection/least-loaded.ts';
import { roundRobin } from '../../src/selection/round-robin.ts';
import { sticky } from '../../src/selection/sticky.ts';
import { hostsOf, selecting } from './support.ts';

const inTurn = (maxAffinities = 100) => sticky<string>({ choose: roundRobin({ startAfter: '' }), maxAffinities });

describe('sticky', () => {
  it('stays with a host for each affinity, whoever joins', () => {
    const subject = selecting(inTurn(), hostsOf('b', 'c'));
    const picks = () => ['ann', 'bob', undefined].map((affinity) => subject.selector.pick(affinity));
    expect(picks()).toEqual(['host b', 'host c', 'host b']);
    subject.become(hostsOf('a', 'b', 'c', 'd'));
    expect(picks()).toEqual(['host b', 'host c', 'host b']);
  });

  it('moves when its host leaves, and does not move back', () => {
    const subject = selecting(inTurn(), hostsOf('a', 'b'));
    expect(subject.selector.pick('ann')).toBe('host a');
    subject.become(hostsOf('b'));
    expect(subject.selector.pick('ann')).toBe('host b');
    subject.become(hostsOf('a', 'b'));
    expect(subject.selector.pick('ann')).toBe('host b');
  });

  it('keeps the bond when the list was empty for a while', () => {
    const subject = selecting(inTurn(), hostsOf('a', 'b', 'c'));
    subject.selector.pick('x');
    expect(subject.selector.pick('ann')).toBe('host b');
    subject.become(hostsOf());
    expect(subject.selector.pick('ann')).toBeUndefined();
    subject.become(hostsOf('a', 'b', 'c'));
    expect(subject.selector.pick('ann')).toBe('host b');
  });

  it('moves away from a host it has to avoid, and stays there', () => {
    const { selector } = selecting(inTurn(), hostsOf('a', 'b'));
    expect(selector.pick('ann')).toBe('host a');
    expect(selector.pickEntry('ann', (key) => key === 'a')?.[0]).toBe('b');
    expect(selector.pick('ann')).toBe('host b');
  });

  it('forgets the affinity that was unused for longest when it holds too many', () => {
    const { selector } = selecting(inTurn(2), hostsOf('a', 'b', 'c', 'd'));
    expect(['ann', 'bob', 'ann', 'cid'].map((key) => selector.pick(key))).toEqual([
      'host a',
      'host b',
      'host a',
      'host c',
    ]);
    expect(['ann', 'bob'].map((key) => selector.pick(key))).toEqual(['host a', 'host d']);
  });

  it('tells a learning selector of the calls', () => {
    const { selector } = selecting(sticky<string>({ choose: leastLoaded() }), hostsOf('a', 'b'));
    selector.started?.('a');
    expect(selector.pick()).toBe('host b');
    expect(selecting(inTurn()).selector.started).toBeUndefined();
  });

  it('refuses a bound that is not one', () => {
    expect(() => sticky({ maxAffinities: 0 })).toThrow(RxEtcdError);
  });
});
