import type { PrefixState, ResyncReason } from '../../src/discovery/prefix-state.ts';
import { passingError } from '../../src/errors.ts';
import { Snapshot } from '../../src/discovery/snapshot.ts';
import type { StateOrSnapshot } from '../../src/steadiness/state-or-snapshot.ts';
import { TestScheduler } from 'rxjs/testing';
import { expect } from 'vitest';

type Run = Parameters<TestScheduler['run']>[0];

/** Runs a marble test in virtual time. */
export function marbles(run: Run): void {
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(run);
}

export const cause = passingError('connection-lost', 'connection lost');

/** `a b=2` as a snapshot of a and b; a value is its key when it is not given. */
export function snapshot(entries: string, revision: number = 1): Snapshot<string> {
  const pairs = entries.split(' ').filter((entry) => entry !== '');
  return Snapshot.of(
    pairs.map((entry): [string, string] => [entry.split('=')[0] as string, entry.split('=').at(-1) as string]),
    revision,
  );
}

export function plain(entries: string): ReadonlyMap<string, string> {
  return new Map(snapshot(entries));
}

export function pending(attempt: number = 0): PrefixState<string> {
  return { status: 'pending', attempt, listed: 0, ...(attempt > 0 && { cause }) };
}

export function live(entries: string | Snapshot<string>, resync?: ResyncReason): PrefixState<string> {
  const shown = typeof entries === 'string' ? snapshot(entries) : entries;
  return { status: 'live', snapshot: shown, rejected: new Map(), ...(resync !== undefined && { resync }) };
}

export function stale(
  entries: string | Snapshot<string>,
  sinceMs: number = 0,
  attempt: number = 1,
): PrefixState<string> {
  const shown = typeof entries === 'string' ? snapshot(entries) : entries;
  return { status: 'stale', snapshot: shown, rejected: new Map(), sinceMs, cause, attempt };
}

/** What a state or a snapshot shows, to compare: `live a b=2`, `a b=2`, `pending`. */
export function shown(known: StateOrSnapshot<unknown>): string {
  if (!('status' in known)) return entriesOf(known);
  if (known.status === 'pending') return 'pending';
  const resync = known.status === 'live' && known.resync !== undefined ? ` (${known.resync})` : '';
  return `${known.status} ${entriesOf(known.snapshot)}${resync}`.trim();
}

function entriesOf(map: ReadonlyMap<string, unknown>): string {
  return [...map]
    .map(([key, value]) => (key === value ? key : `${key}=${String(value)}`))
    .sort()
    .join(' ');
}
