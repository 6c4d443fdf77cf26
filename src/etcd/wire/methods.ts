import type { Methods } from '../rpc.ts';
import { decodeAuthenticateResponse, decodeLeaseGrantResponse, decodeNothing, decodeTxnResponse } from './answers.ts';
import { ownFormat } from './own.ts';
import {
  encodeAuthenticateRequest,
  encodeLeaseGrantRequest,
  encodeLeaseId,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchRequest,
  type AuthenticateRequest,
  type RangeRequest,
  type TxnRequestMessage,
} from './requests.ts';

/** etcd's methods that are used here, written and read by hand. Watch and range answers are read by their caller. */
export const ownMethods: Methods = {
  range: {
    path: '/etcdserverpb.KV/Range',
    requestSerialize: (request) => encodeRangeRequest(request as RangeRequest),
    responseDeserialize: (bytes) => bytes,
  },
  txn: {
    path: '/etcdserverpb.KV/Txn',
    requestSerialize: (request) => encodeTxnRequest(request as TxnRequestMessage),
    responseDeserialize: decodeTxnResponse,
  },
  watch: {
    path: '/etcdserverpb.Watch/Watch',
    requestSerialize: (request) => encodeWatchRequest(request),
    responseDeserialize: (bytes) => bytes,
  },
  leaseGrant: {
    path: '/etcdserverpb.Lease/LeaseGrant',
    requestSerialize: (request) => encodeLeaseGrantRequest(request as { readonly TTL: number; readonly ID: string }),
    responseDeserialize: decodeLeaseGrantResponse,
  },
  leaseRevoke: {
    path: '/etcdserverpb.Lease/LeaseRevoke',
    requestSerialize: (request) => encodeLeaseId(request as { readonly ID: string }),
    responseDeserialize: decodeNothing,
  },
  leaseKeepAlive: {
    path: '/etcdserverpb.Lease/LeaseKeepAlive',
    requestSerialize: (request) => encodeLeaseId(request as { readonly ID: string }),
    responseDeserialize: (bytes) => ownFormat.keepAliveResponse(bytes),
  },
  authenticate: {
    path: '/etcdserverpb.Auth/Authenticate',
    requestSerialize: (request) => encodeAuthenticateRequest(request as AuthenticateRequest),
    responseDeserialize: decodeAuthenticateResponse,
  },
};
