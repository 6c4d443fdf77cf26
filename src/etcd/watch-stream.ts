import { Observable, type Subscriber } from 'rxjs';
import { EtcdFault, toFault } from './faults.ts';
import type { WatchMessage, WatchRequest, WireEvent } from './link.ts';
import type { Duplex } from './rpc.ts';
import { unreadable, type WatchResponse } from './wire/messages.ts';

export interface WatchStreamOptions {
  /**
   * Opens the stream, of answers as bytes: called with the first watcher, and again after the last one had gone.
   */
  readonly open: () => Duplex;
  readonly read: (bytes: Buffer) => WatchResponse;
  /** Told once about a stream that failed by itself, after its watchers were. */
  readonly onFault: (fault: EtcdFault) => void;
  /** Told about every answer: the member is alive. */
  readonly onAnswer: () => void;
}

interface Watcher {
  readonly request: WatchRequest;
  readonly subscriber: Subscriber<WatchMessage>;
  created: boolean;
  /** Events of the fragments so far of a response that has not ended yet. */
  fragments: WireEvent[];
}

/**
 * Many watchers over one bidirectional stream.
 *
 * The watch ids are chosen here, so creates need not wait for one another; they are never used twice in a
 * stream. A response belongs to its watcher whole: fragments are held back until the last one came, and
 * events before the asked revision are dropped (a member can hand them out).
 *
 * The server is asked from one revision earlier. Until etcd fixed issues 18089 and 19179 (3.5.18), a watch that
 * begins at the very revision that is compacted at is not told of the deletions in it; one that begins before it
 * is told that it was compacted.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#watch-streams
 * @source https://github.com/etcd-io/etcd/issues/18089
 * @source https://github.com/etcd-io/etcd/issues/19179
 * @source https://github.com/etcd-io/etcd/issues/20221
 */
export function watchStream(options: WatchStreamOptions): (request: WatchRequest) => Observable<WatchMessage> {
  let current: StreamState | undefined;

  const close = (state: StreamState): void => {
    if (current === state) current = undefined;
    state.closed = true;
    // end() alone would leave the watchers alive on the server.
    state.duplex.end();
    state.duplex.cancel();
  };

  const openStream = (): StreamState => {
    const state: StreamState = {
      duplex: options.open(),
      watchers: new Map(),
      unanswered: [],
      nextId: 1,
      closed: false,
    };
    const fail = (error: unknown): void => {
      // grpc tells of one failure twice, as `error` and as `end`; and of our own cancel too.
      if (state.closed) return;
      close(state);
      const fault = toFault(error);
      for (const watcher of [...state.watchers.values()]) watcher.subscriber.error(fault);
      options.onFault(fault);
    };
    state.duplex.on('error', fail);
    state.duplex.on('end', () => {
      fail(new EtcdFault('link', 'the member ended the watch stream'));
    });
    state.duplex.on('data', (bytes: Buffer) => {
      if (state.closed) return;
      options.onAnswer();
      try {
        receive(state, options.read(bytes), close);
      } catch (error) {
        fail(unreadable('watch response', error));
      }
    });
    return state;
  };

  return (request) =>
    new Observable<WatchMessage>((subscriber) => {
      const state = (current ??= openStream());
      const id = state.nextId++;
      state.watchers.set(id, { request, subscriber, created: false, fragments: [] });
      state.unanswered.push(id);
      subscriber.add(() => {
        if (state.closed || !state.watchers.delete(id)) return;
        if (state.watchers.size === 0) close(state);
        else state.duplex.write({ cancel_request: { watch_id: id } });
      });
      state.duplex.write({ create_request: createRequest(request, id) });
    });
}

interface StreamState {
  readonly duplex: Duplex;
  readonly watchers: Map<number, Watcher>;
  /** Ids of creates not answered yet, in request order; also those whose watcher has gone since. */
  readonly unanswered: number[];
  nextId: number;
  closed: boolean;
}

function createRequest({ range, startRevision, previous = false }: WatchRequest, id: number): object {
  return {
    key: range.key,
    ...(range.rangeEnd !== undefined && { range_end: range.rangeEnd }),
    // 0 would mean: from now on.
    start_revision: Math.max(1, startRevision - 1),
    watch_id: id,
    fragment: true,
    prev_kv: previous,
  };
}

function receive(state: StreamState, response: WatchResponse, close: (state: StreamState) => void): void {
  let id = response.watchId;
  if (response.created) {
    const oldest = state.unanswered.shift();
    // A refused create carries no id of ours: answers come in request order, so it is the oldest one's.
    if (response.canceled && oldest !== undefined) id = oldest;
  }
  const watcher = state.watchers.get(id);
  // Unsubscribed meanwhile, or the answer to a cancel.
  if (watcher === undefined) return;
  if (response.canceled) {
    state.watchers.delete(id);
    // Closed first: whoever subscribes in answer to the error then gets a new stream, not one on its way out.
    if (state.watchers.size === 0) close(state);
    watcher.subscriber.error(cancelFault(response));
    return;
  }
  if (response.created && !watcher.created) {
    watcher.created = true;
    watcher.subscriber.next({ type: 'created' });
  }
  if (response.eventCount === 0) return;
  const { range, startRevision } = watcher.request;
  response.readEvents(range.namespaceBytes, startRevision, watcher.fragments);
  if (response.fragment || watcher.fragments.length === 0) return;
  const events = watcher.fragments;
  watcher.fragments = [];
  watcher.subscriber.next({ type: 'events', events });
}

function cancelFault(response: WatchResponse): EtcdFault {
  if (response.compactRevision > 0) {
    return new EtcdFault('compacted', `compacted up to revision ${response.compactRevision}`);
  }
  if (response.cancelReason === '') return new EtcdFault('busy', 'the server cancelled the watch without a reason');
  const fault = toFault(new Error(response.cancelReason));
  // A watch of its own is refused here, not the link.
  return fault.kind === 'link' ? new EtcdFault('busy', fault.message) : fault;
}
