import { Session, type Profiler } from 'node:inspector/promises';
import type { Shares } from '../report/row.ts';

const GC = 'collecting garbage';
const REST = 'grpc-js and Node: receiving, events, timers';
const PARTS: readonly (readonly [part: string, file: RegExp])[] = [
  ['the tree: finding a place, copying nodes', /\/src\/(sorted-tree\/|discovery\/(key-tree|snapshot)\.)/],
  ['decoding, its strings included', /\/src\/etcd\/(wire\/|keys\.)/],
  ['the rest of rx-etcd, and RxJS', /\/\.build\/src\/|\/rxjs\//],
];
/** All parts, in the order to show them. */
export const PROFILE_PARTS: readonly string[] = [...PARTS.map(([part]) => part), GC, REST];

/** Runs something under V8's sampling profiler. */
export async function profiled(work: () => Promise<void>): Promise<Shares> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  return sharesOf(profile);
}

function sharesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Shares {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const partOf = new Map<number, string>();
  const visit = (id: number, inherited: string): void => {
    const node = byId.get(id) as Profiler.ProfileNode;
    const { url, functionName } = node.callFrame;
    // What a built-in function or Buffer does, it does for its caller.
    const isHelper = url === '' || url === 'node:buffer' || url.startsWith('node:internal/buffer');
    const named = PARTS.find(([, file]) => file.test(url))?.[0];
    const part = functionName === '(garbage collector)' ? GC : (named ?? (isHelper ? inherited : REST));
    partOf.set(node.id, part);
    for (const child of node.children ?? []) visit(child, part);
  };
  visit((nodes[0] as Profiler.ProfileNode).id, REST);
  const us = new Map<string, number>();
  let total = 0;
  samples.forEach((id, index) => {
    const { functionName, url } = (byId.get(id) as Profiler.ProfileNode).callFrame;
    // Waiting, and the profiler's own work.
    if (functionName === '(idle)' || (functionName === 'dispatch' && url === '')) return;
    const part = partOf.get(id) ?? REST;
    const spent = timeDeltas[index] ?? 0;
    us.set(part, (us.get(part) ?? 0) + spent);
    total += spent;
  });
  return Object.fromEntries(PROFILE_PARTS.map((part) => [part, (us.get(part) ?? 0) / total]));
}
