// Configuration that reaches three processes: each follows one key, typed and checked by a schema. A value that
// is wrong reaches nobody: the last good one stays, and it is reported. Each process is this file again, with a name.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom, fromEvent, map, merge, scan, shareReplay, timeout } from 'rxjs';
import { json, type StandardSchema, watchKey$ } from 'rx-etcd';

interface Settings {
  readonly name: string;
  readonly requestsPerSecond: number;
}

// Zod, Valibot and ArkType make such a schema from a line or two; this is all that it is.
const schema: StandardSchema<Settings> = {
  '~standard': {
    version: 1,
    vendor: 'example-41',
    validate(value) {
      const { name, requestsPerSecond } = Object(value) as Readonly<Record<string, unknown>>;
      if (typeof name !== 'string') return { issues: [{ message: 'not a text', path: ['name'] }] };
      if (typeof requestsPerSecond !== 'number' || !(requestsPerSecond > 0)) {
        return { issues: [{ message: 'not a number above 0', path: ['requestsPerSecond'] }] };
      }
      return { value: { name, requestsPerSecond } };
    },
  },
};

const etcd = new Etcd3({ hosts: process.env['ETCD_HOSTS']?.split(',') ?? 'http://127.0.0.1:2379' });
const key = '/examples/41/用户';
const name = process.argv[2];

if (name === undefined) await administer();
else follow();

async function administer(): Promise<void> {
  await etcd.put(key).value('{"name":"小王","requestsPerSecond":100}');
  const processes = ['a', 'b', 'c'].map((who) => ({ who, child: fork(import.meta.filename, [who]) }));
  const told$ = merge(
    ...processes.map(({ who, child }) =>
      fromEvent(child, 'message').pipe(map((message) => [who, ([message].flat() as string[])[0] as string] as const)),
    ),
  ).pipe(
    scan((told, [who, text]) => told.set(who, [...(told.get(who) ?? []), text]), new Map<string, readonly string[]>()),
    shareReplay({ bufferSize: 1, refCount: true }),
  );
  const listening = told$.subscribe();
  const allTell = async (count: number): Promise<void> => {
    const told = await firstValueFrom(
      told$.pipe(
        filter((map) => processes.every(({ who }) => (map.get(who)?.length ?? 0) >= count)),
        timeout(20_000),
      ),
    );
    for (const { who } of processes) console.log(`${who}: ${told.get(who)?.at(-1)}`);
  };

  await allTell(1);
  await etcd.put(key).value('{"name":"小李","requestsPerSecond":0}');
  await allTell(2);
  await etcd.put(key).value('{"name":"小李","requestsPerSecond":200}');
  await allTell(3);

  const told = await firstValueFrom(told$);
  assert.deepEqual(
    processes.map(({ who }) => told.get(who)),
    processes.map(() => [
      '小王, 100 a second',
      'rejected, requestsPerSecond: not a number above 0; still 小王',
      '小李, 200 a second',
    ]),
  );
  listening.unsubscribe();
  for (const { child } of processes) child.disconnect();
}

function follow(): void {
  let current: Settings | undefined;
  const subscription = watchKey$(etcd, key, {
    codec: json(schema),
    onRejected: ({ cause }) => tell(`rejected, ${(cause as Error).message}; still ${current?.name}`),
  }).subscribe((settings) => {
    current = settings;
    tell(settings === undefined ? 'not set' : `${settings.name}, ${settings.requestsPerSecond} a second`);
  });
  // Nothing else keeps it alive.
  process.once('disconnect', () => {
    subscription.unsubscribe();
  });
}

function tell(text: string): void {
  process.send?.(text);
}

// Output:
//   a: 小王, 100 a second
//   b: 小王, 100 a second
//   c: 小王, 100 a second
//   a: rejected, requestsPerSecond: not a number above 0; still 小王
//   b: rejected, requestsPerSecond: not a number above 0; still 小王
//   c: rejected, requestsPerSecond: not a number above 0; still 小王
//   a: 小李, 200 a second
//   b: 小李, 200 a second
//   c: 小李, 200 a second
