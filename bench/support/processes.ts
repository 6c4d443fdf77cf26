import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A bench process of its own: what it costs is its own, and is measured by itself. */
export interface Worker {
  send(message: object): void;
  /** The next message of this type. */
  next<M>(type: string): Promise<M>;
  stop(): Promise<void>;
}

export function startWorker(file: string, options: object, nodeFlags: readonly string[] = []): Worker {
  const child: ChildProcess = fork(fileURLToPath(new URL(`../${file}`, import.meta.url)), [JSON.stringify(options)], {
    execArgv: ['--expose-gc', ...nodeFlags],
  });
  const waiting = new Map<string, { resolve: (message: never) => void; reject: (error: Error) => void }>();
  const early = new Map<string, unknown[]>();
  let ended: Error | undefined;
  child.on('message', (message: { type: string }) => {
    const waiter = waiting.get(message.type);
    if (waiter === undefined) early.set(message.type, [...(early.get(message.type) ?? []), message]);
    else {
      waiting.delete(message.type);
      waiter.resolve(message as never);
    }
  });
  const gone = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      ended = new Error(`${file} ${JSON.stringify(options)} ended (${code ?? signal})`);
      for (const waiter of waiting.values()) waiter.reject(ended);
      resolve();
    });
  });
  return {
    send(message) {
      child.send(message);
    },
    next<M>(type: string) {
      const first = early.get(type)?.shift();
      if (first !== undefined) return Promise.resolve(first as M);
      if (ended !== undefined) return Promise.reject(ended);
      return new Promise<M>((resolve, reject) => waiting.set(type, { resolve, reject }));
    },
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
