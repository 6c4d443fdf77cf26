import type { CallHandlers } from '../wire/grpc-server.ts';
import { keyBytes } from './key-range.ts';
import { headerOf, unary, type MemberView } from './member-view.ts';

type LeaseService = Pick<
  CallHandlers,
  'LeaseGrant' | 'LeaseRevoke' | 'LeaseKeepAlive' | 'LeaseTimeToLive' | 'LeaseLeases'
>;

export function leaseService(member: MemberView): LeaseService {
  const { core } = member;
  const { leases } = core;
  return {
    LeaseGrant: unary((request) => {
      core.checkSpace();
      const { id, ttlSeconds } = leases.grant(request.id, request.ttl);
      return { header: headerOf(member), id, ttl: ttlSeconds };
    }),
    LeaseRevoke: unary(({ id }) => {
      core.revoke(id);
      return { header: headerOf(member) };
    }),
    LeaseKeepAlive: (call) => ({
      message({ id }) {
        const header = headerOf(member);
        call.send({ header, id, ttl: leases.renew(id) });
      },
      halfClosed() {
        call.end();
      },
      closed: () => undefined,
    }),
    LeaseTimeToLive: unary(({ id, keys }) => {
      const header = headerOf(member);
      const lease = leases.get(id);
      if (lease === undefined) return { header, id, ttl: -1 };
      return {
        header,
        id,
        ttl: leases.remainingSeconds(lease),
        grantedTtl: lease.ttlSeconds,
        keys: keys ? [...lease.keys].sort().map(keyBytes) : [],
      };
    }),
    LeaseLeases: unary(() => ({ header: headerOf(member), leases: leases.list().map(({ id }) => ({ id })) })),
  };
}
