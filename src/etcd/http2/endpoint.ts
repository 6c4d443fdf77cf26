import { isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { invalidArgument } from '../../errors.ts';

/** Where a member listens. */
export type Address =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string };

/** An address as a user writes it, read. */
export interface Endpoint {
  readonly address: Address;
  /** For messages, and HTTP/2's `:authority`: `host:port`, or the path of a socket. */
  readonly name: string;
  /** Whether its scheme asks for TLS; `undefined` without a scheme that says so. */
  readonly secure: boolean | undefined;
}

const ETCD_PORT = 2379;
const HTTPS_PORT = 443;

const SCHEME = /^(https?|unixs?|dns|ipv4|ipv6):(\/\/)?/i;

/**
 * Reads `http://host:2379`, `host:2379`, `[::1]:2379`, `unix:///path`, and the targets of grpc that name one address.
 * Throws `invalid-argument` for all else. Without a port it is 443 after `https://`, else etcd's 2379.
 */
export function parseEndpoint(argument: string, given: unknown): Endpoint {
  const refuse = (wanted: string): Error => invalidArgument(argument, wanted, given);
  if (typeof given !== 'string' || given === '') throw refuse('an address such as http://127.0.0.1:2379');
  if (given.includes(',')) throw refuse('one address in each string (several go in an array)');
  const [prefix = '', name = ''] = SCHEME.exec(given) ?? [];
  const scheme = name.toLowerCase();
  const rest = given.slice(prefix.length);
  if (scheme.startsWith('unix')) {
    if (rest === '' || rest.includes('\0')) throw refuse('the path of a socket after unix:');
    return { address: { type: 'unix', path: rest }, name: rest, secure: scheme === 'unixs' ? true : undefined };
  }
  if (/[\s\p{Cc}]/u.test(rest)) throw refuse('an address without spaces');
  if (/^[a-z][\w+.-]*:\/\//i.test(rest)) throw refuse('http://, https:// or unix://');
  // grpc's form is dns://server/name: a server of its own cannot be asked.
  const target = scheme === 'dns' ? rest.replace(/^\//, '') : rest.replace(/\/$/, '');
  if (/[/?#]/.test(target)) throw refuse('an address without a path');
  if (target.includes('@')) throw refuse('an address without a user (credentials go in `auth`)');
  const { host, port } = hostAndPort(target) ?? {};
  if (host === undefined) throw refuse('host:port');
  const isSecure = scheme === 'https' ? true : scheme === 'http' ? false : undefined;
  const number = port === undefined ? (isSecure === true ? HTTPS_PORT : ETCD_PORT) : Number(port);
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && number >= 1 && number <= 65_535)) {
    throw refuse('a port from 1 to 65535');
  }
  const known = isIP(host.replace(/%.*$/, '')) !== 0 ? host : domainToASCII(host);
  if (known === '' || !/^[\w.:%-]+$/.test(known)) throw refuse('a host name or an IP address');
  return {
    address: { type: 'tcp', host: known, port: number },
    name: `${isIPv6(known.replace(/%.*$/, '')) ? `[${known}]` : known}:${number}`,
    secure: isSecure,
  };
}

function hostAndPort(target: string): { host: string; port?: string } | undefined {
  if (target.startsWith('[')) {
    const end = target.indexOf(']');
    const host = target.slice(1, Math.max(1, end));
    const after = target.slice(end + 1);
    if (end === -1 || !isIPv6(host.replace(/%.*$/, '')) || (after !== '' && !after.startsWith(':'))) return undefined;
    return after === '' ? { host } : { host, port: after.slice(1) };
  }
  if (isIPv6(target)) return { host: target };
  const colon = target.indexOf(':');
  if (colon === -1) return target === '' ? undefined : { host: target };
  return colon === 0 ? undefined : { host: target.slice(0, colon), port: target.slice(colon + 1) };
}
