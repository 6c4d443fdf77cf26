/** What can be measured alone: `npm run bench -- --only=replay,list`. */
export const GROUPS = ['decoders', 'replay', 'live', 'profile', 'list', 'pages', 'leases', 'picks'] as const;

export type Group = (typeof GROUPS)[number];

/** One measured thing: the median, and all values that it is the median of. */
export interface Row {
  readonly group: Group;
  readonly subject: string;
  readonly keys: number;
  readonly perMessage: number;
  readonly measure: 'cpuUs' | 'serverCpuUs' | 'bytes' | 'heapBytes' | 'ms' | 'ns';
  /** Where a group has several: which case this is. */
  readonly variant?: string;
  readonly median: number;
  readonly all: readonly number[];
}

/** The share of its busy time that each part of a client takes: all of them make 1. */
export type Shares = Readonly<Record<string, number>>;

/** Where the time of one case goes: one run, under the profiler. */
export interface Profile {
  readonly what: string;
  readonly shares: Shares;
}

/** Where and when a group was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
  readonly date: string;
  readonly runs: number;
}

/** The content of bench/results.json. */
export interface Results {
  readonly measured: Readonly<Partial<Record<Group, Machine>>>;
  readonly rows: readonly Row[];
  readonly profiles: readonly Profile[];
}
