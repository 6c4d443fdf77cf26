import { PROFILE_PARTS } from '../support/profile.ts';
import type { Group, Machine, Profile, Results, Row } from './row.ts';

export type SectionName = 'summary' | 'performance' | 'pages' | 'picks';

/** A cost of ours over the cost of what it is compared with; not above its target when all is well. */
interface Ratio {
  readonly what: string;
  readonly ratio: number;
  readonly target: number;
}

const MEASURES: readonly (readonly [Group, Row['measure'], name: string, show: (value: number) => string])[] = [
  ['decoders', 'cpuUs', 'Decoding, CPU per event', (us) => `${(us * 1000).toFixed(0)} ns`],
  ['list', 'cpuUs', 'List, CPU per key', (us) => `${us.toFixed(2)} µs`],
  ['list', 'ms', 'List, time', (ms) => `${ms.toFixed(0)} ms`],
  ['list', 'bytes', 'List, peak memory of the process', mega],
  ['leases', 'cpuUs', 'Leases held (TTL 30 s), CPU per second', (us) => `${(us / 1000).toFixed(1)} ms`],
  ['leases', 'bytes', 'Leases held, memory of the process', mega],
  ['leases', 'heapBytes', 'Leases held, live objects', mega],
];

/** The results as Markdown, for the places in the documentation that show them. */
export function sections({ measured, rows, profiles }: Results): Readonly<Record<SectionName, string>> {
  const [ratios, growth] = [ratiosOf(rows), growthOf(rows)];
  const where = (...groups: Group[]): string => origin(groups.flatMap((group) => measured[group] ?? []));
  return {
    summary: [
      '![CPU per event](docs/images/performance.svg)',
      table(
        ['Cost of rx-etcd', 'of what the other takes'],
        ratios.map(({ what, ratio }) => [what, `${(ratio * 100).toFixed(0)} %`]),
      ),
      where('replay', 'list', 'leases'),
    ].join('\n\n'),
    performance: [
      where('replay', 'profile', 'live', 'decoders', 'list', 'leases'),
      '### Ratios',
      table(
        ['What', 'Ratio', 'Target', 'Reached'],
        [...ratios, ...growth].map(({ what, ratio, target }) => [
          what,
          ratio.toFixed(2),
          `≤ ${target}`,
          ratio <= target ? 'yes' : '**no**',
        ]),
      ),
      '### CPU per event, canned answers (µs)',
      perEvent(rows.filter(({ group }) => group === 'replay')),
      '### Where the time goes: the main thread, canned answers and leases',
      shares(profiles),
      '### CPU per event, live (µs)',
      perEvent(rows.filter(({ group }) => group === 'live')),
      '### The rest',
      table(
        ['What', 'rx-etcd', 'etcd3', 'Ratio'],
        MEASURES.flatMap((measure) => againstEtcd3(rows, measure)),
      ),
    ].join('\n\n'),
    pages: [pages(rows), where('pages')].join('\n\n'),
    picks: [picks(rows), where('picks')].join('\n\n'),
  };
}

function ratiosOf(rows: readonly Row[]): Ratio[] {
  const get = (group: Group, subject: string, keys: number, perMessage = 0, measure: Row['measure'] = 'cpuUs') =>
    medianOf(rows, { group, subject, keys, perMessage, measure });
  const replay = (subject: string, keys: number, perMessage: number) => get('replay', subject, keys, perMessage);
  return [
    ...[1000, 10_000, 100_000].flatMap((keys) =>
      [1, 100].map((perMessage) =>
        of(
          `${events(perMessage)}, ${count(keys)} keys: against one mutable Map`,
          replay('rx-etcd', keys, perMessage),
          replay('mutable-map', keys, perMessage),
          perMessage === 1 ? 0.6 : 0.45,
        ),
      ),
    ),
    of(
      '1 event a message, 1,000 keys: against a new Map per event',
      replay('rx-etcd', 1000, 1),
      replay('scan', 1000, 1),
      0.1,
    ),
    of('List of 100,000: CPU against etcd3', get('list', 'rx-etcd', 100_000), get('list', 'etcd3', 100_000), 0.45),
    of('10,000 leases held: CPU against etcd3', get('leases', 'rx-etcd', 10_000), get('leases', 'etcd3', 10_000), 0.4),
    of(
      '10,000 leases held: memory against etcd3',
      get('leases', 'rx-etcd', 10_000, 0, 'bytes'),
      get('leases', 'etcd3', 10_000, 0, 'bytes'),
      0.4,
    ),
  ].filter(({ ratio }) => !Number.isNaN(ratio));
}

/** How much more an event costs when there are more keys. */
function growthOf(rows: readonly Row[]): Ratio[] {
  return [1, 100].map((perMessage) => {
    const us = (keys: number): number =>
      medianOf(rows, { group: 'replay', subject: 'rx-etcd', keys, perMessage, measure: 'cpuUs' });
    return of(`${events(perMessage)}: 100,000 keys against 1,000`, us(100_000), us(1000), 1.5);
  });
}

function of(what: string, ours: number, theirs: number, target: number): Ratio {
  return { what, ratio: ours / theirs, target };
}

function perEvent(rows: readonly Row[]): string {
  const subjects = distinct(rows, ({ subject }) => subject);
  return table(
    ['Keys', 'Events a message', ...subjects],
    casesOf(rows).map(({ keys, perMessage }) => [
      count(keys),
      count(perMessage),
      ...subjects.map((subject) => {
        const us = medianOf(rows, { subject, keys, perMessage });
        return Number.isNaN(us) ? '' : us.toFixed(us < 100 ? 2 : 0);
      }),
    ]),
  );
}

function shares(profiles: readonly Profile[]): string {
  return table(
    ['Part', ...profiles.map(({ what }) => what)],
    PROFILE_PARTS.map((part) => [part, ...profiles.map(({ shares }) => `${((shares[part] ?? 0) * 100).toFixed(0)} %`)]),
  );
}

function againstEtcd3(rows: readonly Row[], [group, measure, name, show]: (typeof MEASURES)[number]): string[][] {
  const of = rows.filter((row) => row.group === group && row.measure === measure);
  return casesOf(of).map(({ keys, perMessage }) => {
    const [ours, theirs] = ['rx-etcd', 'etcd3'].map((subject) => medianOf(of, { subject, keys, perMessage })) as [
      number,
      number,
    ];
    const what = [name, keys > 0 && `${count(keys)} keys`, perMessage > 0 && `${count(perMessage)} a message`];
    return [what.filter(Boolean).join(', '), show(ours), show(theirs), (ours / theirs).toFixed(2)];
  });
}

function pages(rows: readonly Row[]): string {
  const of = rows.filter(({ group }) => group === 'pages');
  return table(
    ['Keys', 'Asked for', 'CPU of the server', 'CPU of the client'],
    of
      .filter(({ measure }) => measure === 'serverCpuUs')
      .map(({ keys, subject, median }) => [
        count(keys),
        subject,
        `${(median / 1e6).toFixed(2)} s`,
        `${(medianOf(of, { keys, subject, measure: 'cpuUs' }) / 1e6).toFixed(2)} s`,
      ]),
  );
}

function picks(rows: readonly Row[]): string {
  const of = rows.filter(({ group, keys }) => group === 'picks' && keys === 1000);
  const variants = distinct(of, ({ variant }) => variant ?? '');
  return table(
    ['With 1,000 hosts', ...variants],
    distinct(of, ({ subject }) => subject).map((subject) => [
      subject,
      ...variants.map((variant) => {
        const ns = medianOf(of, { subject, variant, measure: 'ns' });
        const bytes = medianOf(of, { subject, variant, measure: 'bytes' });
        return `${count(Math.round(ns))} ns, ${count(Math.round(bytes))} B`;
      }),
    ]),
  );
}

/** When and where; once for groups that were measured together. */
function origin(machines: readonly Machine[]): string {
  const lines = machines.map(
    ({ date, cores, cpu, platform, node, runs }) =>
      `Measured ${date} on ${cores} × ${cpu}, ${platform}, Node ${node}; medians of ${runs} interleaved runs.`,
  );
  return [...new Set(lines)].join('\n');
}

function medianOf(rows: readonly Row[], wanted: Partial<Row>): number {
  const keys = Object.keys(wanted) as (keyof Row)[];
  return rows.find((row) => keys.every((key) => row[key] === wanted[key]))?.median ?? NaN;
}

function casesOf(rows: readonly Row[]): { readonly keys: number; readonly perMessage: number }[] {
  return distinct(rows, ({ keys, perMessage }) => `${keys} ${perMessage}`).map((name) => {
    const [keys = 0, perMessage = 0] = name.split(' ').map(Number);
    return { keys, perMessage };
  });
}

function distinct<R>(rows: readonly Row[], by: (row: Row) => R): R[] {
  return [...new Set(rows.map(by))];
}

function events(perMessage: number): string {
  return perMessage === 1 ? '1 event a message' : `${count(perMessage)} events a message`;
}

function count(number: number): string {
  return number.toLocaleString('en');
}

function mega(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
