import type { Diagram, Row } from './marble-diagrams.ts';

/**
 * The marble diagrams of docs/watching.md, as data: drawn by draw-marbles.ts, and held true by a test that
 * runs the watches in virtual time.
 *
 * What happens to etcd: `a=1 -b` for a write in one transaction, `up` and `down` for the connection, `compact`, and
 * `wipe` for a data directory that is gone. The events that were missed arrive 4 steps after `up`.
 */
const etcd: Row = {
  label: 'etcd',
  marbles: 'a--u---b----c----d--e---u------',
  values: { a: 'a=1', u: 'up', b: 'a=2', c: 'a=3 b=1', d: 'down', e: '-b' },
};

const compacted: Row = {
  label: 'etcd',
  marbles: 'a--u---d--b--c---p---u-------',
  values: { a: 'a=1', u: 'up', d: 'down', b: 'a=2', c: 'b=1', p: 'compact' },
};

const replaced: Row = {
  label: 'etcd',
  marbles: 'a--u---d--w--c---u--------',
  values: { a: 'a=1', u: 'up', d: 'down', w: 'wipe', c: 'c=1' },
};

export const watchDiagrams: readonly Diagram[] = [
  {
    name: 'watch-prefix',
    inputs: [etcd],
    operator: 'watchPrefix$(etcd, prefix)',
    output: {
      label: '',
      marbles: '---a---b----c---------------d--',
      values: { a: 'a=1', b: 'a=2', c: 'a=3 b=1', d: 'a=3' },
    },
  },
  {
    name: 'watch-prefix-state',
    inputs: [etcd],
    operator: 'watchPrefixState$(etcd, prefix)',
    output: {
      label: '',
      marbles: 'p--a---b----c----s------c---d--',
      values: {
        p: 'pending',
        a: 'live a=1',
        b: 'live a=2',
        c: 'live a=3 b=1',
        s: 'stale a=3 b=1',
        d: 'live a=3',
      },
    },
  },
  {
    name: 'watch-prefix-state-compacted',
    inputs: [compacted],
    operator: 'watchPrefixState$(etcd, prefix)',
    output: {
      label: '',
      marbles: 'p--a---s-------------c-------',
      values: { p: 'pending', a: 'live a=1', s: 'stale a=1', c: 'live a=2 b=1 (compacted)' },
    },
  },
  {
    name: 'watch-prefix-state-replaced',
    inputs: [replaced],
    operator: 'watchPrefixState$(etcd, prefix)',
    output: {
      label: '',
      marbles: 'p--a---s---------c--------',
      values: { p: 'pending', a: 'live a=1', s: 'stale a=1', c: 'live c=1 (history-replaced)' },
    },
  },
  {
    name: 'watch-key',
    inputs: [etcd],
    operator: "watchKey$(etcd, 'a')",
    output: { label: '', marbles: '---a---b----c------------------', values: { a: '1', b: '2', c: '3' } },
  },
  {
    name: 'watch-key-rejected',
    inputs: [
      {
        label: 'etcd',
        marbles: 'a--u---b----c----d-----',
        values: { a: 'a=1', u: 'up', b: 'a=many', c: 'a=2', d: '-a' },
      },
    ],
    operator: "watchKey$(etcd, 'a', { codec: numbers })",
    output: { label: '', marbles: '---a--------c----d-----', values: { a: '1', c: '2', d: 'undefined' } },
  },
  {
    name: 'watch-events',
    inputs: [etcd],
    operator: 'watchEvents$(etcd, prefix)',
    output: {
      label: '',
      marbles: '-------b----c---------------d--',
      values: { b: 'a=2', c: 'a=3 b=1', d: '-b' },
    },
  },
  {
    name: 'watch-events-compacted',
    inputs: [compacted],
    operator: 'watchEvents$(etcd, prefix)',
    output: { label: '', marbles: '---------------------c-------', values: { c: 'resync a=2 b=1 (compacted)' } },
  },
  {
    name: 'watch-prefixes',
    inputs: [etcd],
    operator: "watchPrefixes$(etcd, ['a', 'b'])",
    output: {
      label: '',
      marbles: '---a---b----c---------------d--',
      values: { a: '{a=1} {}', b: '{a=2} {}', c: '{a=3} {b=1}', d: '{a=3} {}' },
    },
  },
  {
    name: 'changes',
    inputs: [etcd],
    operator: 'watchPrefix$(etcd, prefix).pipe(changes())',
    output: {
      label: '',
      marbles: '---a---b----(cd)------------e--',
      values: { a: 'added a', b: 'updated a', c: 'updated a', d: 'added b', e: 'removed b' },
    },
  },
];
