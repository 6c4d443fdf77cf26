import type { CallHandlers } from '../wire/grpc-server.ts';
import { headerOf, unary, type MemberView } from './member-view.ts';

type ClusterService = Pick<CallHandlers, 'MemberList' | 'Alarm' | 'Status' | 'Defragment'>;

const ACTIVATE = 1;
const DEACTIVATE = 2;

/** The Cluster and Maintenance services, as far as clients ask for them. */
export function clusterService(member: MemberView): ClusterService {
  const { core } = member;
  return {
    MemberList: unary(() => ({
      header: headerOf(member, 0),
      members: member.members.map(({ id, name, clientUrl }) => ({
        id,
        name,
        peerUrls: [clientUrl],
        clientUrls: [clientUrl],
      })),
    })),
    Alarm: unary(({ action, memberId, alarm }) => {
      const name = `${memberId}:${alarm}`;
      if (action === ACTIVATE) core.alarms.add(name);
      else if (action === DEACTIVATE) core.alarms.delete(name);
      const raised = action === DEACTIVATE ? [] : [...core.alarms].map(readAlarm);
      return { header: headerOf(member), alarms: action === ACTIVATE ? [{ memberId, alarm }] : raised };
    }),
    Status: unary(() => ({
      header: headerOf(member),
      version: core.behavior.version,
      dbSize: 20_480,
      dbSizeInUse: 16_384,
      leader: member.members[0]?.id ?? 0n,
      raftIndex: core.raftIndex,
      raftTerm: core.raftTerm,
      raftAppliedIndex: core.raftIndex,
    })),
    Defragment: unary(() => ({ header: headerOf(member) })),
  };
}

function readAlarm(name: string): { readonly memberId: bigint; readonly alarm: number } {
  const [memberId = '0', alarm = '0'] = name.split(':');
  return { memberId: BigInt(memberId), alarm: Number(alarm) };
}
