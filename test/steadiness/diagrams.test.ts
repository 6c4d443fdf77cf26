import { readFileSync } from 'node:fs';
import { map, of, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { draw } from '../../scripts/draw-marbles.ts';
import { diagrams } from '../../scripts/marble-diagrams.ts';
import type { PrefixState } from '../../src/discovery/prefix-state.ts';
import { distinctSnapshots } from '../../src/steadiness/distinct-snapshots.ts';
import { holdRemovals } from '../../src/steadiness/hold-removals.ts';
import type { StateOrSnapshot } from '../../src/steadiness/state-or-snapshot.ts';
import { mergeSources$ } from '../../src/steadiness/merge-sources.ts';
import { protectEmpty } from '../../src/steadiness/protect-empty.ts';
import { settle } from '../../src/steadiness/settle.ts';
import { snapshots } from '../../src/steadiness/snapshots.ts';
import { withinStaleness } from '../../src/steadiness/within-staleness.ts';
import { live, marbles, pending, plain, shown, snapshot, stale } from '../support/marbles.ts';

type States = Observable<PrefixState<string>>;
type Run = (
  source: Observable<StateOrSnapshot<string>>,
  other?: Observable<StateOrSnapshot<string>>,
) => Observable<StateOrSnapshot<unknown>>;

const operators: Readonly<Record<string, Run>> = {
  'holdRemovals(6)': (source) => source.pipe(holdRemovals(6)),
  'protectEmpty(8)': (source) => source.pipe(protectEmpty(8)),
  'settle(3, { maxDelayMs: 7 })': (source) => source.pipe(settle(3, { maxDelayMs: 7 })),
  'withinStaleness(6)': (source) => (source as States).pipe(withinStaleness(6)),
  'withinStaleness(6, { fallback })': (source) =>
    (source as States).pipe(withinStaleness(6, { fallback: of(plain('f')) })),
  'distinctSnapshots()': (source) => source.pipe(distinctSnapshots()),
  'snapshots()': (source) => (source as States).pipe(snapshots()),
  'mergeSources$({ eu, us })': (eu, us) => mergeSources$({ eu, us: us as States }),
};

describe('the marble diagrams', () => {
  // A store answers in real time, not in virtual time: remember has tests of its own.
  it.each(diagrams.filter(({ name }) => name !== 'remember'))('$name shows what $operator does', (diagram) => {
    marbles(({ cold, expectObservable }) => {
      const inputs = diagram.inputs.map(({ marbles, values }) =>
        cold(marbles, Object.fromEntries([...marbles].map((mark, frame) => [mark, parse(values[mark] ?? '', frame)]))),
      );
      const run = operators[diagram.operator] as Run;
      const [source, other] = inputs as unknown as Parameters<Run>;
      const error = expect.objectContaining({ code: 'stale' }) as Error;
      expectObservable(run(source, other).pipe(map(text))).toBe(diagram.output.marbles, diagram.output.values, error);
    });
  });

  it.each(diagrams)('$name is drawn as it is', (diagram) => {
    expect(readFileSync(new URL(`../../docs/marbles/${diagram.name}.svg`, import.meta.url), 'utf8')).toBe(
      draw(diagram),
    );
  });
});

function parse(value: string, frame: number): StateOrSnapshot<string> {
  const [, status, entries = ''] = /^(live|stale|pending)? ?(.*)$/.exec(value) ?? [];
  if (status === 'pending') return pending();
  if (status === undefined) return snapshot(entries, frame);
  // One snapshot for one text, as a state that tells nothing new of the hosts has the same.
  const known = cache.get(entries) ?? snapshot(entries);
  cache.set(entries, known);
  return status === 'live' ? live(known) : stale(known, frame);
}

const cache = new Map<string, ReturnType<typeof snapshot>>();

/** Merged entries are shown by their keys. */
function text(known: StateOrSnapshot<unknown>): string {
  const entries = 'status' in known ? (known.status === 'pending' ? undefined : known.snapshot) : known;
  const merged = [...(entries ?? [])].some(([, value]) => typeof value === 'object');
  return merged && 'status' in known
    ? `${known.status} ${[...(entries ?? new Map<string, unknown>()).keys()].join(' ')}`
    : shown(known);
}
