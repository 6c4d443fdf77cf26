import type { Shares } from './report/row.ts';
import { startWorker } from './support/processes.ts';

interface Result {
  readonly us: number;
}

interface ReplayTask {
  readonly subject: string;
  readonly keys: number;
  readonly perMessage: number;
  readonly warmup: number;
  readonly events: number;
}

/** The best of several rounds, and what the heap grew by, for one pick. */
export interface PickCost {
  readonly variant: string;
  readonly subject: string;
  readonly keys: number;
  readonly ns: number;
  readonly bytes: number;
}

/** CPU microseconds per event of a client that is sent canned events. */
export async function replayed(task: ReplayTask): Promise<number> {
  return (await replay<Result>(task)).us;
}

/** In which parts of such a client the time goes. */
export async function replayProfile(task: ReplayTask): Promise<Shares> {
  return (await replay<{ readonly shares: Shares }>({ ...task, profile: true })).shares;
}

async function replay<R>(task: ReplayTask & { readonly profile?: boolean }): Promise<R> {
  const server = startWorker('replay-server.js', task);
  try {
    const { port } = await server.next<{ port: number }>('listening');
    return await followed<R>(server, { ...task, url: `http://127.0.0.1:${port}` });
  } finally {
    await server.stop();
  }
}

/** The same with a source of events that runs already. */
export async function watched(source: ReturnType<typeof startWorker>, task: object): Promise<number> {
  return (await followed<Result>(source, task)).us;
}

async function followed<R>(source: ReturnType<typeof startWorker>, task: object): Promise<R> {
  const client = startWorker('watch-client.js', task);
  try {
    for (let phase = 0; phase < 2; phase++) {
      source.send(await client.next('go'));
      client.send(await source.next('written'));
    }
    return await client.next<R>('result');
  } finally {
    await client.stop();
  }
}

/** What any other client reports. */
export async function reported<R>(file: string, task: object): Promise<R> {
  const client = startWorker(file, task);
  try {
    return await client.next<R>('result');
  } finally {
    await client.stop();
  }
}
