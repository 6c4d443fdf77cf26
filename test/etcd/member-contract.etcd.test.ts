import { Etcd3 } from 'etcd3';
import { startEtcd } from '../support/etcd-server.ts';
import { gateway } from '../support/gateway.ts';
import { leaseContract, memberOf, rangeContract } from '../support/member-contract.ts';

for (const contract of [rangeContract, leaseContract]) {
  contract('a member of a real etcd', async () => {
    const server = await startEtcd();
    const client = new Etcd3({ hosts: server.clientUrl });
    const { member, release } = await memberOf(client);
    const stop = async (): Promise<void> => {
      release();
      client.close();
      await server.stop();
    };
    const { write, compact } = gateway(server.clientUrl);
    return { member, write, compact, stop };
  });
}
