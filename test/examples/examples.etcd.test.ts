import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEtcd, type EtcdServer } from '../support/etcd-server.ts';
import { expectedOutput } from './expected-output.ts';
import { createSandbox, root, type Run, type Sandbox } from '../support/sandbox.ts';

const examples = new Map(
  readdirSync(join(root, 'examples'))
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => [name, readFileSync(join(root, 'examples', name), 'utf8')]),
);
/** Needs somebody to stop etcd, and to end it. */
const attended = '06-health-in-the-state.ts';

let etcd: EtcdServer;
let sandbox: Sandbox;
let problems: string[];

beforeAll(async () => {
  etcd = await startEtcd();
  sandbox = createSandbox();
  problems = sandbox.add(examples);
});

afterAll(async () => {
  sandbox.remove();
  await etcd.stop();
});

test.each([...examples.keys()])('%s compiles against the built package', (name) => {
  expect(problems.filter((problem) => problem.startsWith(`${name}(`))).toEqual([]);
});

test.each([...examples].filter(([name]) => name !== attended))(
  '%s writes what it says, and ends by itself',
  async (name, source) => {
    const example = start(name);
    expect(await example.ended, example.errors()).toBe(0);
    expect(example.errors()).toBe('');
    expect(example.output()).toMatch(expectedOutput(source));
  },
);

test(`${attended} tells when etcd goes and comes, and ends on Ctrl-C`, async () => {
  const example = start(attended);
  await example.wrote('live: ');
  await etcd.kill();
  await example.wrote('stale: ');
  await etcd.start();
  await expect
    .poll(() => example.output(), { timeout: 20_000 })
    .toMatch(expectedOutput(examples.get(attended) as string));
  example.child.kill('SIGINT');
  expect(await example.ended, example.errors()).toBe(0);
});

function start(name: string): Run {
  return sandbox.run(name, { ETCD_HOSTS: etcd.clientUrl });
}
