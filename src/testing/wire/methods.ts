import * as auth from './auth-messages.ts';
import * as cluster from './cluster-messages.ts';
import * as kv from './kv-messages.ts';
import * as lease from './lease-messages.ts';
import type { MessageType } from './protobuf.ts';
import * as watch from './watch-messages.ts';

/** etcd's methods by their names, each with what it asks and what it answers. No two services share a name. */
export interface EtcdMethods {
  readonly Range: [kv.RangeRequest, kv.RangeResponse];
  readonly Put: [kv.PutRequest, kv.PutResponse];
  readonly DeleteRange: [kv.DeleteRangeRequest, kv.DeleteRangeResponse];
  readonly Txn: [kv.TxnRequest, kv.TxnResponse];
  readonly Compact: [kv.CompactionRequest, kv.HeaderOnly];
  readonly Watch: [watch.WatchRequest, watch.WatchResponse];
  readonly LeaseGrant: [lease.LeaseGrantRequest, lease.LeaseGrantResponse];
  readonly LeaseRevoke: [lease.LeaseId, kv.HeaderOnly];
  readonly LeaseKeepAlive: [lease.LeaseId, lease.LeaseKeepAliveResponse];
  readonly LeaseTimeToLive: [lease.LeaseTimeToLiveRequest, lease.LeaseTimeToLiveResponse];
  readonly LeaseLeases: [kv.Empty, lease.LeaseLeasesResponse];
  readonly MemberList: [cluster.MemberListRequest, cluster.MemberListResponse];
  readonly Alarm: [cluster.AlarmRequest, cluster.AlarmResponse];
  readonly Status: [kv.Empty, cluster.StatusResponse];
  readonly Defragment: [kv.Empty, kv.HeaderOnly];
  readonly AuthEnable: [kv.Empty, kv.HeaderOnly];
  readonly AuthDisable: [kv.Empty, kv.HeaderOnly];
  readonly AuthStatus: [kv.Empty, auth.AuthStatusResponse];
  readonly Authenticate: [auth.NamePassword, auth.AuthenticateResponse];
  readonly UserAdd: [auth.UserAddRequest, kv.HeaderOnly];
  readonly UserGet: [auth.Named, auth.NamesResponse];
  readonly UserList: [kv.Empty, auth.NamesResponse];
  readonly UserDelete: [auth.Named, kv.HeaderOnly];
  readonly UserChangePassword: [auth.NamePassword, kv.HeaderOnly];
  readonly UserGrantRole: [auth.UserRole, kv.HeaderOnly];
  readonly UserRevokeRole: [auth.UserRole, kv.HeaderOnly];
  readonly RoleAdd: [auth.Named, kv.HeaderOnly];
  readonly RoleGet: [auth.Named, auth.RoleGetResponse];
  readonly RoleList: [kv.Empty, auth.NamesResponse];
  readonly RoleDelete: [auth.Named, kv.HeaderOnly];
  readonly RoleGrantPermission: [auth.GrantPermissionRequest, kv.HeaderOnly];
  readonly RoleRevokePermission: [auth.RevokePermissionRequest, kv.HeaderOnly];
}

/** The name of one of etcd's methods. */
export type EtcdMethod = keyof EtcdMethods;
/** What a method is asked. */
export type RequestOf<M extends EtcdMethod> = EtcdMethods[M][0];
/** What a method answers. */
export type ResponseOf<M extends EtcdMethod> = EtcdMethods[M][1];

export interface MethodDefinition<Q, A> {
  readonly path: string;
  readonly request: MessageType<Q>;
  readonly response: MessageType<A>;
  readonly streams: boolean;
}

export const methods: { readonly [M in EtcdMethod]: MethodDefinition<RequestOf<M>, ResponseOf<M>> } = {
  Range: unary('KV/Range', kv.rangeRequestMessage, kv.rangeResponseMessage),
  Put: unary('KV/Put', kv.putRequestMessage, kv.putResponseMessage),
  DeleteRange: unary('KV/DeleteRange', kv.deleteRangeRequestMessage, kv.deleteRangeResponseMessage),
  Txn: unary('KV/Txn', kv.txnRequestMessage, kv.txnResponseMessage),
  Compact: unary('KV/Compact', kv.compactionRequestMessage, kv.headerOnlyMessage),
  Watch: { ...unary('Watch/Watch', watch.watchRequestMessage, watch.watchResponseMessage), streams: true },
  LeaseGrant: unary('Lease/LeaseGrant', lease.leaseGrantRequestMessage, lease.leaseGrantResponseMessage),
  LeaseRevoke: unary('Lease/LeaseRevoke', lease.leaseIdMessage, kv.headerOnlyMessage),
  LeaseKeepAlive: {
    ...unary('Lease/LeaseKeepAlive', lease.leaseIdMessage, lease.leaseKeepAliveResponseMessage),
    streams: true,
  },
  LeaseTimeToLive: unary(
    'Lease/LeaseTimeToLive',
    lease.leaseTimeToLiveRequestMessage,
    lease.leaseTimeToLiveResponseMessage,
  ),
  LeaseLeases: unary('Lease/LeaseLeases', kv.emptyMessage, lease.leaseLeasesResponseMessage),
  MemberList: unary('Cluster/MemberList', cluster.memberListRequestMessage, cluster.memberListResponseMessage),
  Alarm: unary('Maintenance/Alarm', cluster.alarmRequestMessage, cluster.alarmResponseMessage),
  Status: unary('Maintenance/Status', kv.emptyMessage, cluster.statusResponseMessage),
  Defragment: unary('Maintenance/Defragment', kv.emptyMessage, kv.headerOnlyMessage),
  AuthEnable: unary('Auth/AuthEnable', kv.emptyMessage, kv.headerOnlyMessage),
  AuthDisable: unary('Auth/AuthDisable', kv.emptyMessage, kv.headerOnlyMessage),
  AuthStatus: unary('Auth/AuthStatus', kv.emptyMessage, auth.authStatusResponseMessage),
  Authenticate: unary('Auth/Authenticate', auth.namePasswordMessage, auth.authenticateResponseMessage),
  UserAdd: unary('Auth/UserAdd', auth.userAddRequestMessage, kv.headerOnlyMessage),
  UserGet: unary('Auth/UserGet', auth.namedMessage, auth.namesResponseMessage),
  UserList: unary('Auth/UserList', kv.emptyMessage, auth.namesResponseMessage),
  UserDelete: unary('Auth/UserDelete', auth.namedMessage, kv.headerOnlyMessage),
  UserChangePassword: unary('Auth/UserChangePassword', auth.namePasswordMessage, kv.headerOnlyMessage),
  UserGrantRole: unary('Auth/UserGrantRole', auth.userRoleMessage, kv.headerOnlyMessage),
  UserRevokeRole: unary('Auth/UserRevokeRole', auth.userRoleMessage, kv.headerOnlyMessage),
  RoleAdd: unary('Auth/RoleAdd', auth.namedMessage, kv.headerOnlyMessage),
  RoleGet: unary('Auth/RoleGet', auth.namedMessage, auth.roleGetResponseMessage),
  RoleList: unary('Auth/RoleList', kv.emptyMessage, auth.namesResponseMessage),
  RoleDelete: unary('Auth/RoleDelete', auth.namedMessage, kv.headerOnlyMessage),
  RoleGrantPermission: unary('Auth/RoleGrantPermission', auth.grantPermissionRequestMessage, kv.headerOnlyMessage),
  RoleRevokePermission: unary('Auth/RoleRevokePermission', auth.revokePermissionRequestMessage, kv.headerOnlyMessage),
};

const byPath: ReadonlyMap<string, EtcdMethod> = new Map(
  Object.entries(methods).map(([name, { path }]) => [path, name as EtcdMethod]),
);

/** The method of an HTTP/2 path, `undefined` when there is none. */
export function methodOfPath(path: string): EtcdMethod | undefined {
  return byPath.get(path);
}

function unary<Q, A>(path: string, request: MessageType<Q>, response: MessageType<A>): MethodDefinition<Q, A> {
  return { path: `/etcdserverpb.${path}`, request, response, streams: false };
}
