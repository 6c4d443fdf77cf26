/** Messages of etcd's Cluster and Maintenance services, by etcd's published definition (rpc.proto). */
import { type ResponseHeader, responseHeaderMessage } from './kv-messages.ts';
import { bool, int, MessageType, repeated, string, sub, uint } from './protobuf.ts';

/** A member of the cluster. */
export interface MemberInfo {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}
const memberInfoMessage: MessageType<MemberInfo> = new MessageType('MemberInfo', {
  id: uint(1),
  name: string(2),
  peerUrls: repeated(string(3)),
  clientUrls: repeated(string(4)),
  isLearner: bool(5),
});

/** Asks for the members. */
export interface MemberListRequest {
  readonly linearizable: boolean;
}
export const memberListRequestMessage: MessageType<MemberListRequest> = new MessageType('MemberListRequest', {
  linearizable: bool(1),
});

/** The members. */
export interface MemberListResponse {
  readonly header: ResponseHeader | undefined;
  readonly members: readonly MemberInfo[];
}
export const memberListResponseMessage: MessageType<MemberListResponse> = new MessageType('MemberListResponse', {
  header: sub(1, () => responseHeaderMessage),
  members: repeated(sub(2, () => memberInfoMessage)),
});

/** `action`: 0 get, 1 activate, 2 deactivate. `alarm`: 0 none, 1 no space, 2 corrupt. */
export interface AlarmRequest {
  readonly action: number;
  readonly memberId: bigint;
  readonly alarm: number;
}
export const alarmRequestMessage: MessageType<AlarmRequest> = new MessageType('AlarmRequest', {
  action: int(1),
  memberId: uint(2),
  alarm: int(3),
});

/** An alarm of a member. */
export interface AlarmMember {
  readonly memberId: bigint;
  readonly alarm: number;
}
const alarmMemberMessage: MessageType<AlarmMember> = new MessageType('AlarmMember', {
  memberId: uint(1),
  alarm: int(2),
});

/** The alarms. */
export interface AlarmResponse {
  readonly header: ResponseHeader | undefined;
  readonly alarms: readonly AlarmMember[];
}
export const alarmResponseMessage: MessageType<AlarmResponse> = new MessageType('AlarmResponse', {
  header: sub(1, () => responseHeaderMessage),
  alarms: repeated(sub(2, () => alarmMemberMessage)),
});

/** The state of a member. */
export interface StatusResponse {
  readonly header: ResponseHeader | undefined;
  readonly version: string;
  readonly dbSize: number;
  readonly leader: bigint;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly dbSizeInUse: number;
  readonly isLearner: boolean;
}
export const statusResponseMessage: MessageType<StatusResponse> = new MessageType('StatusResponse', {
  header: sub(1, () => responseHeaderMessage),
  version: string(2),
  dbSize: int(3),
  leader: uint(4),
  raftIndex: int(5),
  raftTerm: int(6),
  raftAppliedIndex: int(7),
  errors: repeated(string(8)),
  dbSizeInUse: int(9),
  isLearner: bool(10),
});
