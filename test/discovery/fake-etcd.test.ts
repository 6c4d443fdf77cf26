import { interval } from 'rxjs';
import { rangeContract } from '../support/member-contract.ts';
import { FakeEtcd } from './fake-etcd.ts';

// Its answers wait for a test: here each comes as soon as it can.
rangeContract('the fake behind the model', () => {
  const etcd = new FakeEtcd();
  etcd.up();
  const answering = interval(1).subscribe(() => {
    for (const call of [...etcd.calls]) call.answer();
    for (const watch of [...etcd.watches]) watch.step(1);
  });
  if (etcd.member === undefined) throw new Error('not up');
  return Promise.resolve({
    member: etcd.member,
    write: (entries) => {
      etcd.write(new Map(entries));
      return Promise.resolve(etcd.revision);
    },
    compact: (revision) => {
      etcd.compact(revision);
      return Promise.resolve();
    },
    stop: () => {
      answering.unsubscribe();
    },
  });
});
