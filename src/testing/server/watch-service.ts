import type { Event, KeyValue, ResponseHeader } from '../wire/kv-messages.ts';
import type { CallHandler, ServerCall } from '../wire/grpc-server.ts';
import type { PartialMessage } from '../wire/protobuf.ts';
import type { WatchCreateRequest, WatchResponse } from '../wire/watch-messages.ts';
import { keyText } from './key-range.ts';
import { headerOf, type MemberView } from './member-view.ts';
import type { HubWatcher, WatcherAnswer } from './watch-hub.ts';

/** From this size on an answer is sent in fragments, to a watcher that takes them. */
const FRAGMENT_BYTES = 1.5 * 1024 * 1024;

const NO_ID = -1n;

/**
 * One stream carries any number of watchers.
 *
 * @param numbersWatches as `etcd grpc-proxy` does: it chooses all ids itself, from 0 on, and knows no progress requests.
 */
export function watchService(member: MemberView, numbersWatches: boolean): CallHandler<'Watch'> {
  const { hub, behavior } = member.core;
  return (call) => {
    const watchers = new Map<bigint, HubWatcher>();
    let nextId = 0n;

    const refuse = (cancelReason: string): void => {
      call.send({ header: headerOf(member), watchId: NO_ID, created: true, canceled: true, cancelReason });
    };

    return {
      message({ createRequest, cancelRequest, progressRequest }) {
        if (createRequest !== undefined) create(createRequest);
        else if (cancelRequest !== undefined) cancel(cancelRequest.watchId);
        else if (progressRequest !== undefined) progress();
      },
      halfClosed() {
        // As etcd: the watchers stay until the stream ends.
      },
      closed() {
        for (const watcher of watchers.values()) watcher.cancel();
        watchers.clear();
      },
    };

    function create(request: WatchCreateRequest): void {
      if (behavior.refusesNegativeStart && request.startRevision < 0) {
        call.send({ header: headerOf(member), watchId: NO_ID, created: true, canceled: true });
        return;
      }
      if (isEmptyRange(request)) {
        refuse('mvcc: watcher range is empty');
        return;
      }
      if (!numbersWatches && request.watchId !== 0n && watchers.has(request.watchId)) {
        refuse('mvcc: duplicate watch ID provided on the WatchStream');
        return;
      }
      const id = numbersWatches || request.watchId === 0n ? freeId() : request.watchId;
      // One that is canceled as compacted keeps its id until the client cancels it too, as in etcd.
      const watcher = hub.add(id, request, (answer) => {
        sendTo(call, request, answer);
      });
      watchers.set(id, watcher);
      call.send({ header: headerOf(member), watchId: id, created: true });
      watcher.start();
    }

    function cancel(id: bigint): void {
      const watcher = watchers.get(id);
      if (watcher === undefined) return;
      watcher.cancel();
      watchers.delete(id);
      call.send({ header: headerOf(member), watchId: id, canceled: true });
    }

    function progress(): void {
      if (numbersWatches) return;
      const all = [...watchers.values()];
      if (behavior.progressWaitsForAll && all.some((each) => !each.isSynced || each.waitsForFuture)) return;
      call.send({ header: headerOf(member), watchId: NO_ID });
    }

    function freeId(): bigint {
      while (watchers.has(nextId)) nextId += 1n;
      return nextId++;
    }
  };

  function sendTo(call: ServerCall<'Watch'>, { fragment }: WatchCreateRequest, answer: WatcherAnswer): void {
    const { revision, ...rest } = answer;
    const header = headerOf(member, revision);
    if (!fragment) call.send({ ...rest, header });
    else for (const part of fragments(rest, header)) call.send(part);
  }

  function isEmptyRange({ key, rangeEnd }: WatchCreateRequest): boolean {
    if (rangeEnd === undefined || rangeEnd.length === 0) return false;
    const end = keyText(rangeEnd);
    return end !== '\0' && keyText(key.length === 0 ? Buffer.alloc(1) : key) >= end;
  }
}

function* fragments(
  answer: PartialMessage<WatchResponse>,
  header: ResponseHeader,
): Generator<PartialMessage<WatchResponse>, undefined> {
  const events = answer.events ?? [];
  let from = 0;
  let bytes = 0;
  for (const [at, event] of events.entries()) {
    const size = sizeOf(event);
    if (bytes + size >= FRAGMENT_BYTES && at > from) {
      yield { ...answer, header, fragment: true, events: events.slice(from, at) };
      from = at;
      bytes = 0;
    }
    bytes += size;
  }
  yield { ...answer, header, events: events.slice(from) };
}

function sizeOf({ kv, prevKv }: PartialMessage<Event>): number {
  return sizeOfEntry(kv) + sizeOfEntry(prevKv);
}

/** About: with the numbers beside key and value. */
function sizeOfEntry(kv: PartialMessage<KeyValue> | undefined): number {
  return kv === undefined ? 0 : (kv.key?.length ?? 0) + (kv.value?.length ?? 0) + 40;
}
