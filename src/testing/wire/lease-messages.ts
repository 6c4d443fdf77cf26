/** Messages of etcd's Lease service, by etcd's published definition (rpc.proto). */
import { type ResponseHeader, responseHeaderMessage } from './kv-messages.ts';
import { bool, bytes, id, int, MessageType, repeated, string, sub } from './protobuf.ts';

/** `ttl` in seconds; `id` 0 lets etcd choose. */
export interface LeaseGrantRequest {
  readonly ttl: number;
  readonly id: bigint;
}
export const leaseGrantRequestMessage: MessageType<LeaseGrantRequest> = new MessageType('LeaseGrantRequest', {
  ttl: int(1),
  id: id(2),
});

/** A lease was granted. */
export interface LeaseGrantResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttl: number;
  readonly error: string;
}
export const leaseGrantResponseMessage: MessageType<LeaseGrantResponse> = new MessageType('LeaseGrantResponse', {
  header: sub(1, () => responseHeaderMessage),
  id: id(2),
  ttl: int(3),
  error: string(4),
});

/** A lease by its id: to revoke it, to renew it, or as one of a list. */
export interface LeaseId {
  readonly id: bigint;
}
export const leaseIdMessage: MessageType<LeaseId> = new MessageType('LeaseId', { id: id(1) });

/** A lease was renewed; `ttl` 0 says that it is gone. */
export interface LeaseKeepAliveResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttl: number;
}
export const leaseKeepAliveResponseMessage: MessageType<LeaseKeepAliveResponse> = new MessageType(
  'LeaseKeepAliveResponse',
  {
    header: sub(1, () => responseHeaderMessage),
    id: id(2),
    ttl: int(3),
  },
);

/** Asks for what is left of a lease. */
export interface LeaseTimeToLiveRequest {
  readonly id: bigint;
  readonly keys: boolean;
}
export const leaseTimeToLiveRequestMessage: MessageType<LeaseTimeToLiveRequest> = new MessageType(
  'LeaseTimeToLiveRequest',
  {
    id: id(1),
    keys: bool(2),
  },
);

/** What is left of a lease, in seconds; `ttl` -1 says that there is none. */
export interface LeaseTimeToLiveResponse {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Uint8Array[];
}
export const leaseTimeToLiveResponseMessage: MessageType<LeaseTimeToLiveResponse> = new MessageType(
  'LeaseTimeToLiveResponse',
  { header: sub(1, () => responseHeaderMessage), id: id(2), ttl: int(3), grantedTtl: int(4), keys: repeated(bytes(5)) },
);

/** The leases there are. */
export interface LeaseLeasesResponse {
  readonly header: ResponseHeader | undefined;
  readonly leases: readonly LeaseId[];
}
export const leaseLeasesResponseMessage: MessageType<LeaseLeasesResponse> = new MessageType('LeaseLeasesResponse', {
  header: sub(1, () => responseHeaderMessage),
  leases: repeated(sub(2, () => leaseIdMessage)),
});
