/**
 * Answers Range and Watch like an etcd that holds `keys` hosts, and sends as many events as it is told to, as fast
 * as the client takes them. Real etcd paces a catch-up at 1000 revisions per 100 ms; canned answers show what the
 * client itself costs.
 */
import http2 from 'node:http2';
import { eventKey, hostKey, hostLease, hostValue } from './support/hosts.ts';
import { stockMethods } from '../test/support/stock-methods.ts';
import { frame, message } from '../test/support/wire-writer.ts';

interface Canned {
  readonly keys: number;
  readonly perMessage: number;
}

interface RangeRequest {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly limit: string;
}

interface WatchRequest {
  readonly create_request?: { readonly watch_id: string } | null;
}

const canned = JSON.parse(process.argv[2] ?? '{}') as Canned;
const methods = stockMethods();
const header = (revision: number): Buffer =>
  message([1, 14841639068965178418n], [2, 10276657743932975437n], [3, revision], [4, 3]);
const pair = (index: number, value: string, create: number, mod: number): Buffer =>
  message(
    [1, Buffer.from(hostKey(index))],
    [2, create],
    [3, mod],
    [4, 1 + mod - create],
    [5, Buffer.from(value)],
    [6, hostLease(index)],
  );

// Hosts are of revisions 1 … keys; events go on from there.
let revision = canned.keys;
const watches: http2.ServerHttp2Stream[] = [];
// Asked for before the client watched: between its list and its watch.
let early: Buffer[] = [];
// Made once: the same list is asked for again and again.
const pairs = Array.from({ length: canned.keys }, (_, index) => pair(index, hostValue(index), index + 1, index + 1));

const server = http2.createServer({ settings: { initialWindowSize: 1 << 20 } });
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': '0' });
  });
  const watching = headers[':path'] === methods.watch.path;
  onFrames(stream, (bytes) => {
    if (watching) watch(stream, methods.watch.requestDeserialize(bytes) as WatchRequest);
    else stream.end(frame(range(methods.range.requestDeserialize(bytes) as RangeRequest)));
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ type: 'listening', port: (server.address() as { port: number }).port });
});
process.on('message', ({ count }: { count: number }) => {
  const frames = events(count);
  if (watches.length === 0) early = early.concat(frames);
  for (const stream of watches) void writeAll(stream, frames);
  process.send?.({ type: 'written', revision, messages: frames.length });
});
process.on('disconnect', () => process.exit());

function range(request: RangeRequest): Buffer {
  const from = firstNotBefore(request.key);
  const end = Math.max(from, firstNotBefore(request.range_end));
  const to = Number(request.limit) === 0 ? end : Math.min(end, from + Number(request.limit));
  const kvs = Buffer.concat([...pairs.slice(from, to)].flatMap((kv) => [repeated(2, kv), kv]));
  return Buffer.concat([message([1, header(revision)]), kvs, message([3, to < end ? 1 : 0], [4, end - from])]);
}

/** The index of the first host whose key is not before this one. */
function firstNotBefore(key: Buffer): number {
  let low = 0;
  let high = canned.keys;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(Buffer.from(hostKey(middle)), key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function repeated(field: number, bytes: Uint8Array): Buffer {
  // The tag and length alone.
  const whole = message([field, bytes]);
  return whole.subarray(0, whole.length - bytes.length);
}

function watch(stream: http2.ServerHttp2Stream, request: WatchRequest): void {
  if (request.create_request === undefined || request.create_request === null) return;
  const id = Number(request.create_request.watch_id) || 1;
  watches.push(stream);
  // As if it were asked for before the early events came: no watch begins in the past here.
  void writeAll(stream, [frame(message([1, header(canned.keys)], [2, id], [3, 1])), ...early]);
  early = [];
}

function events(count: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let sent = 0; sent < count; sent += canned.perMessage) {
    const batch: (readonly [number, Uint8Array])[] = [];
    for (let n = 0; n < canned.perMessage; n++) {
      revision += 1;
      const index = eventKey(revision, canned.keys);
      batch.push([11, message([2, pair(index, hostValue(revision), index + 1, revision)])]);
    }
    frames.push(frame(message([1, header(revision)], [2, 1], ...batch)));
  }
  return frames;
}

async function writeAll(stream: http2.ServerHttp2Stream, frames: readonly Buffer[]): Promise<void> {
  for (const bytes of frames) {
    if (!stream.write(bytes)) await new Promise<void>((resolve) => stream.once('drain', resolve));
  }
}

function onFrames(stream: http2.ServerHttp2Stream, callback: (bytes: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      callback(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
  });
}
