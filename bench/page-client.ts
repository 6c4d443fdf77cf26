/** One client process: lists all hosts in one way, and reports its CPU. The parent looks at the server's. */
import { Etcd3 } from 'etcd3';
import { filter, firstValueFrom } from 'rxjs';
import { watchPrefix$ } from '../src/index.ts';
import { cpuUs } from './support/cpu.ts';
import { PREFIX } from './support/hosts.ts';

/** `limit` 0 is this library; any other is a page of so many, each up to the end of the range. */
const { limit, url, keys } = JSON.parse(process.argv[2] ?? '{}') as { limit: number; url: string; keys: number };
const etcd = new Etcd3({ hosts: url, grpcOptions: { 'grpc.max_receive_message_length': -1 } });
await etcd.get('-');
process.send?.({ type: 'ready' });
const before = cpuUs();
if (limit === 0) await firstValueFrom(watchPrefix$(etcd, PREFIX).pipe(filter((hosts) => hosts.size === keys)));
else await inPages();
process.send?.({ type: 'result', us: cpuUs() - before });

async function inPages(): Promise<void> {
  const end = Buffer.from(PREFIX.slice(0, -1) + '0');
  let from = Buffer.from(PREFIX);
  for (let more = true; more;) {
    const page = await etcd.kv.range({ key: from, range_end: end, limit });
    more = page.more;
    from = Buffer.concat([page.kvs.at(-1)?.key ?? end, Buffer.of(0)]);
  }
}
