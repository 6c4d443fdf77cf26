import { MemoryEtcd } from '../../src/testing/index.ts';
import { leaseContract, memberOf, rangeContract } from '../support/member-contract.ts';

for (const contract of [rangeContract, leaseContract]) {
  contract('a member of an etcd in memory', async () => {
    const etcd = await MemoryEtcd.start();
    const client = etcd.client();
    const { member, release } = await memberOf(client);
    return {
      member,
      async write(entries) {
        const operations = entries.map(([key, value]) =>
          value === undefined ? client.delete().key(key) : client.put(key).value(value),
        );
        const { header } = await client
          .if('-', 'Version', '==', 0)
          .then(...operations)
          .commit();
        return Number(header.revision);
      },
      compact: (revision) => client.kv.compact({ revision: String(revision), physical: true }),
      stop: () => {
        release();
        return etcd.stop();
      },
    };
  });
}
