import type { IncomingHttpHeaders } from 'node:http2';
import { RpcError, STATUS } from '../rpc-error.ts';

/** What is wrong with the headers of an answer, when they are none of gRPC's. */
export function httpProblem(headers: IncomingHttpHeaders): string | undefined {
  const status = Number(headers[':status']);
  const type = text(headers['content-type']);
  if (status !== 200) return `HTTP ${status}${type === '' ? '' : ` (${shortened(type)})`}`;
  if (type.toLowerCase().startsWith('application/grpc') || headers['grpc-status'] !== undefined) return undefined;
  return `HTTP 200 with content type ${type === '' ? 'unknown' : JSON.stringify(shortened(type))}`;
}

/** The failure that an HTTP answer is which does not come from etcd. */
export function httpError(problem: string, body: Buffer): RpcError {
  const words = shortened(body.toString('utf8').replaceAll(/\s+/g, ' ').trim());
  const said = words === '' ? '' : `: ${words}`;
  return new RpcError(STATUS.UNAVAILABLE, `not etcd but something in front of it answered ${problem}${said}`, 'http');
}

/** How much of the body of such an answer is kept. */
export const KEPT_BODY_BYTES = 1000;

/**
 * The status that ended a stream: `'ok'`, an error, or `undefined` when there is none.
 *
 * @param trailers or the headers of an answer that has nothing but headers.
 */
export function statusOf(trailers: IncomingHttpHeaders): 'ok' | RpcError | undefined {
  const given = trailers['grpc-status'];
  if (given === undefined) return undefined;
  const written = text(given);
  if (written === '0') return 'ok';
  const code = /^\d{1,2}$/.test(written) && Number(written) <= 16 ? Number(written) : STATUS.UNKNOWN;
  const details = percentDecoded(text(trailers['grpc-message']));
  return new RpcError(code, details === '' ? `status ${shortened(written)} without a message` : details, 'etcd');
}

/** Undoes percent-coding of UTF-8; what is none stays as it is. Linear in the length. */
export function percentDecoded(coded: string): string {
  if (!coded.includes('%')) return coded;
  const from = Buffer.from(coded, 'utf8');
  const to = Buffer.allocUnsafe(from.length);
  let length = 0;
  for (let at = 0; at < from.length; at++) {
    const byte = from[at] as number;
    const high = byte === PERCENT ? hexValue(from[at + 1]) : -1;
    const low = high === -1 ? -1 : hexValue(from[at + 2]);
    if (low === -1) to[length++] = byte;
    else {
      to[length++] = high * 16 + low;
      at += 2;
    }
  }
  return to.toString('utf8', 0, length);
}

const PERCENT = 0x25;

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function text(header: string | string[] | undefined): string {
  return header === undefined ? '' : typeof header === 'string' ? header : (header[0] ?? '');
}

function shortened(words: string): string {
  return words.length <= 200 ? words : `${words.slice(0, 200)}…`;
}
