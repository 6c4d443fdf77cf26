/**
 * The marble diagrams of docs/steadiness.md, as data: drawn by draw-marbles.ts, and held true by a test that
 * runs the operators in virtual time.
 *
 * A value is `a b` for a snapshot, `live a b`, `stale a b` or `pending` for a state.
 */
export interface Diagram {
  /** The name of the picture. */
  readonly name: string;
  readonly inputs: readonly Row[];
  readonly operator: string;
  readonly output: Row;
}

export interface Row {
  readonly label: string;
  readonly marbles: string;
  readonly values: Readonly<Record<string, string>>;
}

export const diagrams: readonly Diagram[] = [
  {
    name: 'hold-removals',
    inputs: [{ label: 'source', marbles: 'a---b---a---b---------|', values: { a: 'a b', b: 'a' } }],
    operator: 'holdRemovals(6)',
    output: { label: '', marbles: 'a---a---a---a-----b---|', values: { a: 'a b', b: 'a' } },
  },
  {
    name: 'hold-removals-stale',
    inputs: [
      {
        label: 'states',
        marbles: 'a---b-s---------b------|',
        values: { a: 'live a b', b: 'live a', s: 'stale a' },
      },
    ],
    operator: 'holdRemovals(6)',
    output: { label: '', marbles: 'a---a-s---------a---b--|', values: { a: 'live a b', b: 'live a', s: 'stale a b' } },
  },
  {
    name: 'protect-empty',
    inputs: [{ label: 'source', marbles: 'a---b---e-----------c---|', values: { a: 'a b', b: 'b', e: '', c: 'c' } }],
    operator: 'protectEmpty(8)',
    output: { label: '', marbles: 'a---b---a---b---e---c---|', values: { a: 'a b', b: 'b', e: '', c: 'c' } },
  },
  {
    name: 'settle',
    inputs: [
      {
        label: 'source',
        marbles: 'a----bcd-------efghijklm----|',
        values: Object.fromEntries(Array.from('abcdefghijklm', (key) => [key, key])),
      },
    ],
    operator: 'settle(3, { maxDelayMs: 7 })',
    output: { label: '', marbles: 'a---------d-----------l---m-|', values: { a: 'a', d: 'd', l: 'l', m: 'm' } },
  },
  {
    name: 'within-staleness',
    inputs: [{ label: 'states', marbles: 'a---s-----------b---|', values: { a: 'live a', s: 'stale a', b: 'live b' } }],
    operator: 'withinStaleness(6)',
    output: { label: '', marbles: 'a---s-----#', values: { a: 'live a', s: 'stale a' } },
  },
  {
    name: 'within-staleness-fallback',
    inputs: [
      { label: 'states', marbles: 'a---s-----------b---|', values: { a: 'live a', s: 'stale a', b: 'live b' } },
      { label: 'fallback', marbles: '----------f', values: { f: 'f' } },
    ],
    operator: 'withinStaleness(6, { fallback })',
    output: {
      label: '',
      marbles: 'a---s-----f-----b---|',
      values: { a: 'live a', s: 'stale a', f: 'stale f', b: 'live b' },
    },
  },
  {
    name: 'distinct-snapshots',
    inputs: [{ label: 'source', marbles: 'a---a---b---b---|', values: { a: 'a=1', b: 'a=2' } }],
    operator: 'distinctSnapshots()',
    output: { label: '', marbles: 'a-------b-------|', values: { a: 'a=1', b: 'a=2' } },
  },
  {
    name: 'snapshots',
    inputs: [
      {
        label: 'states',
        marbles: 'p---a---s---a---b---|',
        values: { p: 'pending', a: 'live a', s: 'stale a', b: 'live b' },
      },
    ],
    operator: 'snapshots()',
    output: { label: '', marbles: '----a-----------b---|', values: { a: 'a', b: 'b' } },
  },
  {
    name: 'merge-sources',
    inputs: [
      { label: 'eu', marbles: '----a-----------s---', values: { a: 'live a', s: 'stale a' } },
      { label: 'us', marbles: '----------a---------', values: { a: 'live a' } },
    ],
    operator: 'mergeSources$({ eu, us })',
    output: {
      label: '',
      marbles: '----p-----b-----s---',
      values: { p: 'pending', b: 'live eu:a us:a', s: 'stale eu:a us:a' },
    },
  },
  {
    name: 'remember',
    inputs: [
      { label: 'store', marbles: '---a', values: { a: 'a' } },
      { label: 'states', marbles: 'p-----p-----b---|', values: { p: 'pending', b: 'live b' } },
    ],
    operator: 'remember(store)',
    output: { label: '', marbles: 'p--s--s-----b---|', values: { p: 'pending', s: 'stale a', b: 'live b' } },
  },
];
