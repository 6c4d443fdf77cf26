import type { Profile, Row } from '../run.ts';
import { PROFILE_PARTS } from '../support/profile.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
  readonly date: string;
  readonly runs: number;
}

interface Target {
  readonly what: string;
  readonly ratio: number | undefined;
  readonly atMost: number;
}

/** The results as Markdown: all of it, and the few numbers that README shows. */
export function tables(
  rows: readonly Row[],
  profiles: readonly Profile[],
  machine: Machine,
): { readonly full: string; readonly short: string } {
  const reached = targets(rows)
    .filter(({ ratio }) => ratio !== undefined)
    .map(({ what, ratio = NaN, atMost }) => [
      what,
      ratio.toFixed(2),
      `≤ ${atMost}`,
      ratio <= atMost ? 'yes' : '**no**',
    ]);
  const where = `Measured ${machine.date} on ${machine.cores} × ${machine.cpu}, ${machine.platform}, Node ${machine.node}; medians of ${machine.runs} interleaved runs.`;
  const ratios = table(['What', 'Ratio', 'Target', 'Reached'], reached);
  const perEvent = (group: 'replay' | 'live'): string => {
    const of = rows.filter((row) => row.group === group);
    const cases = [...new Set(of.map(({ keys, perMessage }) => `${keys} ${perMessage}`))];
    const subjects = [...new Set(of.map(({ subject }) => subject))];
    return table(
      ['Keys', 'Events a message', ...subjects],
      cases.map((name) => {
        const [keys, perMessage] = name.split(' ').map(Number) as [number, number];
        return [
          keys.toLocaleString('en'),
          String(perMessage),
          ...subjects.map((subject) =>
            micro(of.find((row) => row.subject === subject && row.keys === keys && row.perMessage === perMessage)),
          ),
        ];
      }),
    );
  };
  const pairs = (group: Row['group'], measure: Row['measure'], show: (value: number) => string): string[][] => {
    const of = rows.filter((row) => row.group === group && row.measure === measure);
    return [...new Set(of.map(({ keys, perMessage }) => `${keys} ${perMessage}`))].map((name) => {
      const [keys, perMessage] = name.split(' ').map(Number) as [number, number];
      const by = (subject: string): number =>
        of.find((row) => row.subject === subject && row.keys === keys && row.perMessage === perMessage)?.median ?? NaN;
      const what = NAMES[`${group} ${measure}`] ?? group;
      return [
        [what, keys > 0 && `${keys.toLocaleString('en')} keys`, perMessage > 0 && `${perMessage} a message`]
          .filter(Boolean)
          .join(', '),
        show(by('rx-etcd')),
        show(by('etcd3')),
        (by('rx-etcd') / by('etcd3')).toFixed(2),
      ];
    });
  };
  const others = table(
    ['What', 'rx-etcd', 'etcd3', 'Ratio'],
    [
      ...pairs('decoders', 'cpuUs', (us) => `${(us * 1000).toFixed(0)} ns`),
      ...pairs('list', 'cpuUs', (us) => `${us.toFixed(2)} µs`),
      ...pairs('list', 'ms', (ms) => `${ms.toFixed(0)} ms`),
      ...pairs('list', 'bytes', mega),
      ...pairs('leases', 'cpuUs', (us) => `${(us / 1000).toFixed(1)} ms`),
      ...pairs('leases', 'bytes', mega),
      ...pairs('leases', 'heapBytes', mega),
    ],
  );
  const parts = table(
    ['Part', ...profiles.map(({ what }) => what)],
    PROFILE_PARTS.map((part) => [part, ...profiles.map(({ shares }) => `${((shares[part] ?? 0) * 100).toFixed(0)} %`)]),
  );
  return {
    full: [
      where,
      '### Ratios',
      ratios,
      '### CPU per event, canned answers (µs)',
      perEvent('replay'),
      '### Where the time goes: the main thread, canned answers and leases',
      parts,
      '### CPU per event, live (µs)',
      perEvent('live'),
      '### The rest',
      others,
    ].join('\n\n'),
    short: ['![CPU per event](docs/images/performance.svg)', ratios, where].join('\n\n'),
  };
}

const NAMES: Readonly<Record<string, string>> = {
  'decoders cpuUs': 'Decoding, CPU per event',
  'list cpuUs': 'List, CPU per key',
  'list ms': 'List, time',
  'list bytes': 'List, peak memory of the process',
  'leases cpuUs': 'Leases held (TTL 30 s), CPU per second',
  'leases bytes': 'Leases held, memory of the process',
  'leases heapBytes': 'Leases held, live objects',
};

function targets(rows: readonly Row[]): readonly Target[] {
  const get = (group: Row['group'], subject: string, keys: number, perMessage = 0, measure: Row['measure'] = 'cpuUs') =>
    rows.find(
      (row) =>
        row.group === group &&
        row.subject === subject &&
        row.keys === keys &&
        row.perMessage === perMessage &&
        row.measure === measure,
    )?.median;
  const over = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a / b;
  const replay = (subject: string, keys: number, perMessage: number) => get('replay', subject, keys, perMessage);
  return [
    ...[1000, 10_000, 100_000].flatMap((keys) => [
      {
        what: `1 event a message, ${keys.toLocaleString('en')} keys: against one mutable Map`,
        ratio: over(replay('rx-etcd', keys, 1), replay('mutable-map', keys, 1)),
        atMost: 0.6,
      },
      {
        what: `100 events a message, ${keys.toLocaleString('en')} keys: against one mutable Map`,
        ratio: over(replay('rx-etcd', keys, 100), replay('mutable-map', keys, 100)),
        atMost: 0.45,
      },
    ]),
    {
      what: '1 event a message, 1,000 keys: against a new Map per event',
      ratio: over(replay('rx-etcd', 1000, 1), replay('scan', 1000, 1)),
      atMost: 0.1,
    },
    ...[1, 100].map((perMessage) => ({
      what: `100,000 keys against 1,000, ${perMessage} a message`,
      ratio: over(replay('rx-etcd', 100_000, perMessage), replay('rx-etcd', 1000, perMessage)),
      atMost: 1.5,
    })),
    {
      what: 'List of 100,000: CPU against etcd3',
      ratio: over(get('list', 'rx-etcd', 100_000), get('list', 'etcd3', 100_000)),
      atMost: 0.45,
    },
    {
      what: '10,000 leases held: CPU against etcd3',
      ratio: over(get('leases', 'rx-etcd', 10_000), get('leases', 'etcd3', 10_000)),
      atMost: 0.4,
    },
    {
      what: '10,000 leases held: memory against etcd3',
      ratio: over(get('leases', 'rx-etcd', 10_000, 0, 'bytes'), get('leases', 'etcd3', 10_000, 0, 'bytes')),
      atMost: 0.4,
    },
  ];
}

function micro(row: Row | undefined): string {
  return row === undefined ? '' : row.median.toFixed(row.median < 100 ? 2 : 0);
}

function mega(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
