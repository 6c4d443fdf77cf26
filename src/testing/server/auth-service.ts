import type { CallHandler, CallHandlers } from '../wire/grpc-server.ts';
import { GrpcError } from '../wire/grpc-error.ts';
import type { EtcdMethod } from '../wire/methods.ts';
import { etcdError } from './etcd-errors.ts';
import { headerOf, unary, type MemberView } from './member-view.ts';

type AuthMethod = Extract<EtcdMethod, `Auth${string}` | `User${string}` | `Role${string}`>;

/** Access control that is off. */
export function authService(member: MemberView): Pick<CallHandlers, AuthMethod> {
  const missing = <M extends EtcdMethod>(): CallHandler<M> =>
    unary<M>(() => {
      throw new GrpcError('UNIMPLEMENTED', 'this server has no access control');
    });
  return {
    AuthStatus: unary(() => ({ header: headerOf(member), authRevision: 1 })),
    Authenticate: unary(() => {
      throw etcdError('authNotEnabled');
    }),
    AuthEnable: missing<'AuthEnable'>(),
    AuthDisable: missing<'AuthDisable'>(),
    UserAdd: missing<'UserAdd'>(),
    UserGet: missing<'UserGet'>(),
    UserList: missing<'UserList'>(),
    UserDelete: missing<'UserDelete'>(),
    UserChangePassword: missing<'UserChangePassword'>(),
    UserGrantRole: missing<'UserGrantRole'>(),
    UserRevokeRole: missing<'UserRevokeRole'>(),
    RoleAdd: missing<'RoleAdd'>(),
    RoleGet: missing<'RoleGet'>(),
    RoleList: missing<'RoleList'>(),
    RoleDelete: missing<'RoleDelete'>(),
    RoleGrantPermission: missing<'RoleGrantPermission'>(),
    RoleRevokePermission: missing<'RoleRevokePermission'>(),
  };
}
