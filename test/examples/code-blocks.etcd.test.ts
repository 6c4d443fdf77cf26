import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { eventually } from '../support/eventually.ts';
import { exampleBlocks, exampleTags, markdownBlocks, promisedOutput, type CodeBlock } from './code-blocks.ts';
import { createSandbox, type Run, type Sandbox } from '../support/sandbox.ts';

const blocks = [...markdownBlocks(), ...exampleBlocks()];

let etcd: EtcdServer;
let sandbox: Sandbox;
let problems: string[];

beforeAll(async () => {
  etcd = await startEtcd();
  sandbox = createSandbox();
  problems = sandbox.add(new Map(blocks.map((block) => [fileOf(block), runnable(block)])));
});

afterAll(async () => {
  sandbox.remove();
  await etcd.stop();
});

test('every @example has its block of code', () => {
  expect(exampleBlocks().length).toBe(exampleTags());
});

test.each(blocks)('$place compiles against the built package', (block) => {
  expect(problems.filter((problem) => problem.startsWith(`${fileOf(block)}(`))).toEqual([]);
});

test.concurrent.each(blocks)('$place runs, and writes what it says', async (block) => {
  const run = sandbox.run(fileOf(block), {});
  const promised = promisedOutput(block);
  try {
    if (promised === undefined) await ranFor(run, 500);
    else
      await eventually(() => promised.test(outputOf(run)) || hasEnded(run), {
        withinMs: 40_000,
        what: `the output ${promised.source}`,
      });
  } finally {
    run.child.kill('SIGKILL');
  }
  await run.ended;
  expect(run.errors()).toBe('');
  if (promised !== undefined) expect(outputOf(run)).toMatch(promised);
});

/** Much code in documentation never ends: it has run for long enough when it has had time to meet etcd. */
async function ranFor(run: Run, ms: number): Promise<void> {
  let ranAtMs = Infinity;
  run.child.once('message', () => {
    ranAtMs = performance.now();
  });
  await eventually(() => hasEnded(run) || performance.now() - ranAtMs >= ms, { withinMs: 40_000 });
}

function hasEnded({ child }: Run): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function outputOf(run: Run): string {
  return run.output().trimEnd().split('\n').join(', ');
}

function fileOf({ place }: CodeBlock): string {
  return `${place.replaceAll(/\W/g, '-')}.ts`;
}

/** On the etcd of this test, and saying when all of it has been executed once. */
function runnable({ code }: CodeBlock): string {
  return `${code.replaceAll('127.0.0.1:2379', `127.0.0.1:${etcd.clientPort}`)}\nprocess.send?.('ran');\nexport {};\n`;
}
