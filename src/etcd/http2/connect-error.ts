import { reasonOf } from '../../errors.ts';
import { RpcError, STATUS, type ErrorOrigin } from '../rpc-error.ts';

/** How far a connection had come when it failed. */
export type ConnectPhase = 'tcp' | 'proxy' | 'tls' | 'settings';

/** Why a connection could not be made, in plain words and with a `reason` to branch on. */
export function connectError(host: string, phase: ConnectPhase, isSecure: boolean, error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  const [origin, reason, why] = explained(phase, isSecure, firstOf(error));
  return new RpcError(STATUS.UNAVAILABLE, `cannot connect to ${host}: ${why}`, origin, { reason, cause: error });
}

/** The same for one that took too long. */
export function connectTimeout(host: string, phase: ConnectPhase, timeoutMs: number): RpcError {
  const what = {
    tcp: 'no TCP connection',
    proxy: 'no answer of the HTTP proxy',
    tls: 'the TLS handshake did not end',
    settings: 'no HTTP/2 SETTINGS came',
  }[phase];
  const details = `cannot connect to ${host}: ${what} within ${timeoutMs} ms`;
  return new RpcError(STATUS.UNAVAILABLE, details, 'deadline', { reason: 'timeout' });
}

type Explanation = readonly [origin: ErrorOrigin, reason: string, why: string];

interface SystemError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly hostname?: unknown;
  readonly reason?: unknown;
}

// OpenSSL's and Node's names, https://nodejs.org/api/tls.html#x509-certificate-error-codes
const UNTRUSTED = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
]);

const NO_TLS_THERE = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_RECORD_LAYER_FAILURE',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
]);

function explained(phase: ConnectPhase, isSecure: boolean, error: SystemError): Explanation {
  const code = typeof error.code === 'string' ? error.code : '';
  const message = reasonOf(error);
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) {
    const name = typeof error.hostname === 'string' ? error.hostname : 'the host';
    const why = code === 'ENOTFOUND' ? `the name ${name} is unknown` : `the name ${name} could not be looked up`;
    return ['dns', 'unknown-name', `${why} (${code})`];
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const detail = typeof error.reason === 'string' ? error.reason : message;
    return ['tls', 'certificate-name', `the server's certificate is for another name (${detail})`];
  }
  if (code === 'CERT_HAS_EXPIRED') return ['tls', 'certificate-expired', `the server's certificate has expired`];
  if (code === 'CERT_NOT_YET_VALID') {
    return ['tls', 'certificate-expired', `the server's certificate is not valid yet; is the clock right?`];
  }
  if (UNTRUSTED.has(code)) {
    return [
      'tls',
      'certificate-untrusted',
      `the server's certificate is signed by no CA that is trusted here (${code})`,
    ];
  }
  if (NO_TLS_THERE.has(code)) {
    return ['tls', 'no-tls', `no TLS is spoken there; should the address begin with http://? (${code})`];
  }
  if (/ALERT_(BAD_CERTIFICATE|CERTIFICATE|UNKNOWN_CA|NO_CERTIFICATE|UNSUPPORTED_CERT)/.test(code)) {
    return ['tls', 'client-certificate', `the server refuses this client's certificate, or wants one (${code})`];
  }
  switch (code) {
    case 'ECONNREFUSED':
      return ['transport', 'refused', 'the connection was refused; is etcd running there?'];
    case 'ENOENT':
      return ['transport', 'refused', 'there is no such socket; is etcd running there?'];
    case 'EACCES':
      return ['transport', 'refused', 'this process is not allowed to connect there (EACCES)'];
    case 'ETIMEDOUT':
      return ['transport', 'timeout', 'no TCP connection: nothing answers there (ETIMEDOUT)'];
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return ['transport', 'unreachable', `there is no way to it from here (${code})`];
    default:
  }
  if (phase === 'tls') return ['tls', 'tls-failed', `the TLS handshake failed: ${message}`];
  if (phase === 'settings') {
    const hint = isSecure ? 'it may not be etcd' : 'it may want https://, or not be etcd';
    return ['transport', 'no-http2', `what listens there does not speak HTTP/2: ${hint} (${message})`];
  }
  return ['transport', 'failed', message];
}

/** Of a name with several addresses, each fails in a way of its own. */
function firstOf(error: unknown): SystemError {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors[0] as SystemError;
  return error instanceof Error ? error : { message: reasonOf(error) };
}
