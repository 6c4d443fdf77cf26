/** Writes to a real etcd: first the hosts, then events as asked, `perMessage` of them in one transaction. */
import { Etcd3 } from 'etcd3';
import { eventKey, hostKey, hostValue } from './support/hosts.ts';

const { url, keys, perMessage } = JSON.parse(process.argv[2] ?? '{}') as {
  url: string;
  keys: number;
  perMessage: number;
};
const etcd = new Etcd3({ hosts: url });
const CONCURRENT = 32;
let revision = 0;
let index = 0;

await inParallel(Math.ceil(keys / 100), async (batch) => {
  const from = batch * 100;
  await put(Array.from({ length: Math.min(100, keys - from) }, (_, n) => [hostKey(from + n), hostValue(from + n)]));
});
process.send?.({ type: 'listening' });
process.on('message', ({ count }: { count: number }) => {
  const messages = count / perMessage;
  void inParallel(messages, async () => {
    await put(
      Array.from({ length: perMessage }, () => {
        index += 1;
        return [hostKey(eventKey(index, keys)), hostValue(index)];
      }),
    );
  }).then(() => process.send?.({ type: 'written', revision, messages }));
});
process.on('disconnect', () => process.exit());

async function put(pairs: readonly (readonly [string, string])[]): Promise<void> {
  const answer = await etcd
    .if('-', 'Version', '==', 0)
    .then(...pairs.map(([key, value]) => etcd.put(key).value(value)))
    .commit();
  revision = Math.max(revision, Number(answer.header.revision));
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: CONCURRENT }, async () => {
      while (next < count) await work(next++);
    }),
  );
}
