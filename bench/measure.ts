import { startWorker } from './support/processes.ts';

interface Result {
  readonly us: number;
}

/** CPU microseconds per event of a client that is sent canned events. */
export async function replayed(task: {
  readonly subject: string;
  readonly keys: number;
  readonly perMessage: number;
  readonly warmup: number;
  readonly events: number;
}): Promise<number> {
  const server = startWorker('replay-server.js', task);
  try {
    const { port } = await server.next<{ port: number }>('listening');
    return await watched(server, { ...task, url: `http://127.0.0.1:${port}` });
  } finally {
    await server.stop();
  }
}

/** The same with a source of events that runs already. */
export async function watched(source: ReturnType<typeof startWorker>, task: object): Promise<number> {
  const client = startWorker('watch-client.js', task);
  try {
    for (let phase = 0; phase < 2; phase++) {
      source.send(await client.next('go'));
      client.send(await source.next('written'));
    }
    return (await client.next<Result>('result')).us;
  } finally {
    await client.stop();
  }
}

/** What any other client reports. */
export async function reported<R extends Result>(file: string, task: object): Promise<R> {
  const client = startWorker(file, task);
  try {
    return await client.next<R>('result');
  } finally {
    await client.stop();
  }
}
