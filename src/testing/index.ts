// An etcd inside the process.
export { MemoryEtcd, type MemoryEtcdOptions, type UntilOptions } from './memory-etcd.ts';
export type { FailOptions, MemoryFaults } from './memory-faults.ts';
export type {
  MemoryDump,
  MemoryEntry,
  MemoryLease,
  MemoryPutOptions,
  MemoryStore,
  MemoryTransaction,
  MemoryWatcher,
} from './memory-store.ts';
export type { EtcdVersion } from './server/versions.ts';

// Its answers and requests, for hooks.
export { GrpcError, type GrpcCode } from './wire/grpc-error.ts';
export type { AlteredAnswer, AnswerHook, RequestHook, SeenRequest } from './server/call-hooks.ts';
export type { EtcdMethod, EtcdMethods, RequestOf, ResponseOf } from './wire/methods.ts';

// The messages of etcd's protocol, as plain objects.
export type { PartialMessage } from './wire/protobuf.ts';
export type {
  CompactionRequest,
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  Empty,
  Event,
  HeaderOnly,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from './wire/kv-messages.ts';
export type { WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse } from './wire/watch-messages.ts';
export type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseId,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from './wire/lease-messages.ts';
export type {
  AlarmMember,
  AlarmRequest,
  AlarmResponse,
  MemberInfo,
  MemberListRequest,
  MemberListResponse,
  StatusResponse,
} from './wire/cluster-messages.ts';
export type {
  AuthStatusResponse,
  AuthenticateResponse,
  GrantPermissionRequest,
  NamePassword,
  Named,
  NamesResponse,
  Permission,
  RevokePermissionRequest,
  RoleGetResponse,
  UserAddOptions,
  UserAddRequest,
  UserRole,
} from './wire/auth-messages.ts';
