/** Reads one watch response again and again, our way and etcd3's, and reports nanoseconds of CPU per event. */
import { ownFormat } from '../src/etcd/wire/own.ts';
import { stockFormat } from '../test/support/stock-format.ts';
import { stockMethods } from '../test/support/stock-methods.ts';
import { message } from '../test/support/wire-writer.ts';
import { cpuUs } from './support/cpu.ts';
import { hostKey, hostLease, hostValue } from './support/hosts.ts';

const { subject, events } = JSON.parse(process.argv[2] ?? '{}') as { subject: 'rx-etcd' | 'etcd3'; events: number };
const format = subject === 'rx-etcd' ? ownFormat : stockFormat(stockMethods());
const list = Array.from({ length: events }, (_, index) => {
  const kv = message(
    [1, Buffer.from(hostKey(index))],
    [2, index + 1],
    [3, index + 100_000],
    [4, 3],
    [5, Buffer.from(hostValue(index))],
    [6, hostLease(index)],
  );
  return [11, message([2, kv])] as const;
});
const bytes = message([1, message([1, 14841639068965178418n], [3, 200_000])], [2, 1], ...list);
const ALL_KEYS = { key: new Uint8Array(0), rangeEnd: Uint8Array.of(0), namespaceBytes: 0 };
const rounds = Math.ceil(400_000 / events);

for (let warm = 0; warm < 2; warm++) {
  const before = cpuUs();
  for (let round = 0; round < rounds; round++) format.watchResponse(bytes).readEvents(ALL_KEYS, 0, []);
  if (warm === 1) process.send?.({ type: 'result', us: (cpuUs() - before) / (rounds * events) });
}
