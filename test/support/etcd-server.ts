import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdBinary } from './etcd-binary.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { reap, unreap } from './reaper.ts';

/** How to start one etcd. */
export interface EtcdOptions {
  /** More arguments, after (and so over) this module's own. */
  readonly extraArgs?: readonly string[];
  /** More environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** The member's name. Default `test`. */
  readonly name?: string;
  /**
   * Heartbeat in milliseconds; the election timeout is ten times as long, and the smallest TTL that the server
   * grants fifteen times (in whole seconds, rounded up). Default 20, for a fast start; etcd's own is 100.
   */
  readonly heartbeatMs?: number;
  /** The port to listen on for peers; by default a free one. */
  readonly peerPort?: number;
  /** How long to wait until it is healthy. 0 does not wait, for the members of a cluster. Default 20 000. */
  readonly readyWithinMs?: number;
}

/** One real etcd, on ports of its own, with its data in a temporary directory. */
export interface EtcdServer {
  readonly clientUrl: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** The process id; throws while it is not running. */
  readonly pid: number;
  readonly running: boolean;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again: same ports, same data (or none after `wipe`). Resolves when it is healthy. */
  start(): Promise<void>;
  /** `kill` and `start`. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** `kill`, and remove the data: the next `start` begins another history. */
  wipe(): Promise<void>;
  /** Copies the data aside, the server being down for as long as it takes. */
  saveBackup(): Promise<void>;
  /** Puts the copy back, the server being down for as long as it takes: history since then is gone. */
  restoreBackup(): Promise<void>;
  /** Resolves when `/health` says so. */
  waitHealthy(withinMs?: number): Promise<void>;
  /** The numbers of `/metrics`. */
  metrics(): Promise<EtcdMetrics>;
  /** What it has logged so far. */
  log(): string;
  /** `kill`, and remove everything. */
  stop(): Promise<void>;
}

/** The value of a metric by its name: the sum over its labels, or the one series with exactly those labels. */
export type EtcdMetrics = (name: string) => number;

/** Starts an etcd on free ports; resolves when it is healthy. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  for (let attempt = 1; ; attempt++) {
    const server = createServer(options, await freePort(), options.peerPort ?? (await freePort()));
    try {
      await server.start();
      return server;
    } catch (error) {
      const log = server.log();
      await server.stop();
      // Between the look for a free port and its use somebody else may have taken it.
      if (attempt < 5 && log.includes('address already in use')) continue;
      throw error;
    }
  }
}

function createServer(options: EtcdOptions, clientPort: number, peerPort: number): EtcdServer {
  const directory = mkdtempSync(join(tmpdir(), 'rx-etcd-test-'));
  const dataDir = join(directory, 'data');
  const backupDir = join(directory, 'backup');
  const logFile = join(directory, 'etcd.log');
  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const { readyWithinMs = 20_000 } = options;
  const binary = etcdBinary();
  const args = [
    ...argumentsFor(options, clientUrl, peerPort, dataDir),
    ...(binary.hasUnsafeNoFsync ? ['--unsafe-no-fsync'] : []),
    ...(options.extraArgs ?? []),
  ];
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();

  const server: EtcdServer = {
    clientUrl,
    clientPort,
    peerPort,
    dataDir,
    logFile,
    get pid() {
      if (child?.pid === undefined) throw new Error('this etcd is not running');
      return child.pid;
    },
    get running() {
      return child !== undefined;
    },
    async kill() {
      child?.kill('SIGKILL');
      await gone;
    },
    async start() {
      if (child !== undefined) throw new Error('this etcd is already running');
      launch();
      if (readyWithinMs > 0) await server.waitHealthy(readyWithinMs);
    },
    async restart() {
      await server.kill();
      await server.start();
    },
    pause() {
      process.kill(server.pid, 'SIGSTOP');
    },
    resume() {
      process.kill(server.pid, 'SIGCONT');
    },
    async wipe() {
      await server.kill();
      await rm(dataDir, { recursive: true, force: true });
    },
    saveBackup() {
      return whileDown(async () => {
        await rm(backupDir, { recursive: true, force: true });
        await cp(dataDir, backupDir, { recursive: true });
      });
    },
    restoreBackup() {
      return whileDown(async () => {
        await rm(dataDir, { recursive: true, force: true });
        await cp(backupDir, dataDir, { recursive: true });
      });
    },
    async waitHealthy(withinMs = 20_000) {
      const what = `etcd on port ${clientPort} healthy`;
      const fail = (how: string, cause?: unknown): never => {
        throw new Error(`${what}: ${how}; the end of its log:\n${server.log().slice(-2000)}`, { cause });
      };
      const seen = await eventually(
        async () => (child === undefined ? 'ended' : (await isHealthy(clientUrl)) ? 'healthy' : undefined),
        { withinMs, what },
      ).catch((error: unknown) => fail('it is not', error));
      if (seen === 'ended') fail('it ended');
    },
    async metrics() {
      const answer = await fetch(`${clientUrl}/metrics`, { signal: AbortSignal.timeout(5000) });
      return readMetrics(await answer.text());
    },
    log() {
      return readFileSync(logFile, 'utf8');
    },
    async stop() {
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return server;

  function launch(): void {
    const log = openSync(logFile, 'a');
    const started = spawn(binary.path, args, { stdio: ['ignore', log, log], env: environment(options.env) });
    closeSync(log);
    child = started;
    const pid = started.pid;
    if (pid !== undefined) reap(pid, directory);
    gone = new Promise((resolve) => {
      const ended = (): void => {
        if (pid !== undefined) unreap(pid);
        child = undefined;
        resolve();
      };
      started.once('exit', ended);
      started.once('error', ended);
    });
  }

  async function whileDown(work: () => Promise<void>): Promise<void> {
    const wasRunning = server.running;
    await server.kill();
    await work();
    if (wasRunning) await server.start();
  }
}

function argumentsFor(options: EtcdOptions, clientUrl: string, peerPort: number, dataDir: string): string[] {
  const { name = 'test', heartbeatMs = 20 } = options;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  return [
    `--name=${name}`,
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=${name}=${peerUrl}`,
    `--heartbeat-interval=${heartbeatMs}`,
    `--election-timeout=${heartbeatMs * 10}`,
    '--logger=zap',
    '--log-outputs=stderr',
  ];
}

// etcd reads ETCD_* as its own settings, so none may come from outside; it wants to be told that it may run on
// processors that its version was not yet tested on.
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ETCD_'));
  const unsupported = process.arch === 'x64' ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch };
  return { ...Object.fromEntries(kept), ...unsupported, ...extra };
}

async function isHealthy(clientUrl: string): Promise<boolean> {
  const answer = await fetch(`${clientUrl}/health`, { signal: AbortSignal.timeout(2000) });
  const { health } = (await answer.json()) as { health: string };
  return health === 'true';
}

function readMetrics(text: string): EtcdMetrics {
  const sums = new Map<string, number>();
  const add = (key: string, value: number): void => {
    sums.set(key, (sums.get(key) ?? 0) + value);
  };
  for (const line of text.split('\n')) {
    const [, name, labels, value] = /^([^\s{#]+)(\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    add(name, Number(value));
    if (labels !== undefined) add(name + labels, Number(value));
  }
  return (name) => {
    const value = sums.get(name);
    if (value === undefined) throw new Error(`this etcd has no metric ${name}`);
    return value;
  };
}
