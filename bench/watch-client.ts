/**
 * One client process: follows a prefix in one way, and reports what its events cost.
 *
 * The events are asked for through the parent process, first some to warm up, then those that count.
 */
import { Etcd3 } from 'etcd3';
import { cpuUs } from './support/cpu.ts';
import { profiled } from './support/profile.ts';
import { WATCH_SUBJECTS, type SubjectName } from './subjects/watch-subjects.ts';

interface WatchTask {
  readonly subject: SubjectName;
  readonly url: string;
  readonly warmup: number;
  readonly events: number;
  /** To tell in which parts the time goes, in place of how much it is. */
  readonly profile?: boolean;
}

const task = JSON.parse(process.argv[2] ?? '{}') as WatchTask;
// Raised for all alike: etcd3 lists in one answer.
const etcd = new Etcd3({ hosts: task.url, grpcOptions: { 'grpc.max_receive_message_length': -1 } });

let seen = { revision: 0, messages: 0 };
let wanted: { revision: number; messages: number } | undefined;
let reached: () => void = () => undefined;
// The floor decodes nothing, so it knows no revision.
const by = task.subject === 'floor' ? 'messages' : 'revision';
const look = (): void => {
  if (wanted !== undefined && seen[by] >= wanted[by]) reached();
};

await WATCH_SUBJECTS[task.subject](etcd, (revision) => {
  seen.revision = revision;
  seen.messages += 1;
  if (wanted !== undefined) look();
});
await receive(task.warmup);
globalThis.gc?.();
if (task.profile === true) {
  process.send?.({ type: 'result', shares: await profiled(() => receive(task.events)) });
} else {
  const before = cpuUs();
  await receive(task.events);
  process.send?.({ type: 'result', us: (cpuUs() - before) / task.events });
}

async function receive(count: number): Promise<void> {
  seen = { revision: seen.revision, messages: 0 };
  wanted = undefined;
  const done = new Promise<void>((resolve) => (reached = resolve));
  process.once('message', (written: { revision: number; messages: number }) => {
    wanted = written;
    look();
  });
  process.send?.({ type: 'go', count });
  await done;
}
