/** Messages of etcd's Auth service, by etcd's published definitions (rpc.proto, auth.proto). */
import { type ResponseHeader, responseHeaderMessage } from './kv-messages.ts';
import { bool, bytes, int, MessageType, repeated, string, sub } from './protobuf.ts';

/** Whether access control is on. */
export interface AuthStatusResponse {
  readonly header: ResponseHeader | undefined;
  readonly enabled: boolean;
  readonly authRevision: number;
}
export const authStatusResponseMessage: MessageType<AuthStatusResponse> = new MessageType('AuthStatusResponse', {
  header: sub(1, () => responseHeaderMessage),
  enabled: bool(2),
  authRevision: int(3),
});

/** A user with a password: to authenticate, or to change it. */
export interface NamePassword {
  readonly name: string;
  readonly password: string;
}
export const namePasswordMessage: MessageType<NamePassword> = new MessageType('NamePassword', {
  name: string(1),
  password: string(2),
});

/** The token of a user. */
export interface AuthenticateResponse {
  readonly header: ResponseHeader | undefined;
  readonly token: string;
}
export const authenticateResponseMessage: MessageType<AuthenticateResponse> = new MessageType('AuthenticateResponse', {
  header: sub(1, () => responseHeaderMessage),
  token: string(2),
});

/** How a user is added. */
export interface UserAddOptions {
  readonly noPassword: boolean;
}
const userAddOptionsMessage: MessageType<UserAddOptions> = new MessageType('UserAddOptions', {
  noPassword: bool(1),
});

/** Adds a user. */
export interface UserAddRequest {
  readonly name: string;
  readonly password: string;
  readonly options: UserAddOptions | undefined;
}
export const userAddRequestMessage: MessageType<UserAddRequest> = new MessageType('UserAddRequest', {
  name: string(1),
  password: string(2),
  options: sub(3, () => userAddOptionsMessage),
});

/** A user or a role by its name. */
export interface Named {
  readonly name: string;
}
export const namedMessage: MessageType<Named> = new MessageType('Named', { name: string(1) });

/** A user and one of its roles: to grant it, or to take it away. */
export interface UserRole {
  readonly user: string;
  readonly role: string;
}
export const userRoleMessage: MessageType<UserRole> = new MessageType('UserRole', { user: string(1), role: string(2) });

/** `permType`: 0 read, 1 write, 2 both. */
export interface Permission {
  readonly permType: number;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}
const permissionMessage: MessageType<Permission> = new MessageType('Permission', {
  permType: int(1),
  key: bytes(2),
  rangeEnd: bytes(3),
});

/** Gives a role a permission. */
export interface GrantPermissionRequest {
  readonly name: string;
  readonly perm: Permission | undefined;
}
export const grantPermissionRequestMessage: MessageType<GrantPermissionRequest> = new MessageType(
  'GrantPermissionRequest',
  {
    name: string(1),
    perm: sub(2, () => permissionMessage),
  },
);

/** Takes a permission from a role. */
export interface RevokePermissionRequest {
  readonly role: string;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}
export const revokePermissionRequestMessage: MessageType<RevokePermissionRequest> = new MessageType(
  'RevokePermissionRequest',
  { role: string(1), key: bytes(2), rangeEnd: bytes(3) },
);

/** The roles of a user, or of all; or all users. */
export interface NamesResponse {
  readonly header: ResponseHeader | undefined;
  readonly names: readonly string[];
}
export const namesResponseMessage: MessageType<NamesResponse> = new MessageType('NamesResponse', {
  header: sub(1, () => responseHeaderMessage),
  names: repeated(string(2)),
});

/** The permissions of a role. */
export interface RoleGetResponse {
  readonly header: ResponseHeader | undefined;
  readonly perm: readonly Permission[];
}
export const roleGetResponseMessage: MessageType<RoleGetResponse> = new MessageType('RoleGetResponse', {
  header: sub(1, () => responseHeaderMessage),
  perm: repeated(sub(2, () => permissionMessage)),
});
