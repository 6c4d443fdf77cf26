import { asyncScheduler, filter, firstValueFrom, map } from 'rxjs';
import { leaseContract } from '../support/member-contract.ts';
import { fakeEtcd } from './fake-connection.ts';

leaseContract('the fake behind the registrations', async () => {
  const etcd = fakeEtcd(asyncScheduler);
  etcd.up();
  const member = await firstValueFrom(
    etcd.connection.member$.pipe(
      filter((state) => state.status === 'up'),
      map((state) => state.member),
    ),
  );
  const unused = (): never => {
    throw new Error('leases alone');
  };
  return { member, write: unused, compact: unused, stop: () => undefined };
});
