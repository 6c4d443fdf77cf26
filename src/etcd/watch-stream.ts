import { Observable, type Subscriber } from 'rxjs';
import { EtcdFault, toFault } from './faults.ts';
import type { WatchMessage, WatchRequest, WireEvent } from './member.ts';
import type { Duplex } from './rpc.ts';
import { unreadable, type WatchResponse } from './wire/messages.ts';

export interface WatchStreamOptions {
  /**
   * Opens the stream, of answers as bytes: called with the first watcher, and again after the last one had gone.
   */
  readonly open: () => Duplex;
  readonly read: (bytes: Buffer) => WatchResponse;
  /** What a watcher gets that was not allowed: a second look, or an error in the end. */
  readonly refused$: (fault: EtcdFault, request: WatchRequest) => Observable<WatchMessage>;
  /** Told once about a stream that failed by itself, after its watchers were. */
  readonly onFault: (fault: EtcdFault) => void;
  /** Told about every answer: the member is alive. */
  readonly onAnswer: () => void;
}

interface Watcher {
  readonly request: WatchRequest;
  readonly subscriber: Subscriber<WatchMessage>;
  id: number;
  /** Where the server was asked to begin: at the request's start, or one revision earlier. */
  from: number;
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
 * A watch of what has happened already is asked for once more, from one revision earlier. Until etcd fixed issues
 * 18089 and 19179 (3.5.18), a watch that begins in the past, at the very revision that is compacted at, is not told
 * of the deletions in it; one that begins before it is told that it was compacted.
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

  const failWatcher = ({ subscriber, request }: Watcher, fault: EtcdFault): void => {
    if (fault.kind !== 'permission-denied' && fault.kind !== 'token') subscriber.error(fault);
    else subscriber.add(options.refused$(fault, request).subscribe(subscriber));
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
      for (const watcher of [...state.watchers.values()]) failWatcher(watcher, fault);
      options.onFault(fault);
    };
    state.duplex.on('error', fail);
    state.duplex.on('end', () => {
      fail(new EtcdFault('connection', 'the member ended the watch stream'));
    });
    state.duplex.on('data', (bytes: Buffer) => {
      if (state.closed) return;
      options.onAnswer();
      try {
        receive(state, options.read(bytes), close, failWatcher);
      } catch (error) {
        fail(unreadable('watch response', error));
      }
    });
    return state;
  };

  return (request) =>
    new Observable<WatchMessage>((subscriber) => {
      const state = (current ??= openStream());
      const { startRevision, catchesUp = false } = request;
      const from = catchesUp ? oneEarlier(startRevision) : startRevision;
      const watcher: Watcher = { request, subscriber, id: 0, from, created: false, fragments: [] };
      create(state, watcher);
      subscriber.add(() => {
        if (state.closed || !state.watchers.delete(watcher.id)) return;
        if (state.watchers.size === 0) close(state);
        else cancel(state, watcher.id);
      });
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

/** Asks the server for a watcher, under an id that was not used yet. */
function create(state: StreamState, watcher: Watcher): void {
  const { range, previous = false } = watcher.request;
  watcher.id = state.nextId++;
  state.watchers.set(watcher.id, watcher);
  state.unanswered.push(watcher.id);
  state.duplex.write({
    create_request: {
      key: range.key,
      ...(range.rangeEnd !== undefined && { range_end: range.rangeEnd }),
      start_revision: watcher.from,
      watch_id: watcher.id,
      fragment: true,
      prev_kv: previous,
    },
  });
}

function cancel(state: StreamState, id: number): void {
  state.duplex.write({ cancel_request: { watch_id: id } });
}

/** 0 would mean: from now on. */
function oneEarlier(revision: number): number {
  return Math.max(1, revision - 1);
}

function receive(
  state: StreamState,
  response: WatchResponse,
  close: (state: StreamState) => void,
  fail: (watcher: Watcher, fault: EtcdFault) => void,
): void {
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
    fail(watcher, cancelFault(response));
    return;
  }
  const { range, startRevision } = watcher.request;
  if (response.created && !watcher.created) {
    const earlier = oneEarlier(startRevision);
    if (response.revision >= startRevision && watcher.from > earlier) {
      watcher.from = earlier;
      state.watchers.delete(id);
      cancel(state, id);
      create(state, watcher);
      return;
    }
    watcher.created = true;
    watcher.subscriber.next({ type: 'created' });
  }
  if (response.eventCount === 0) return;
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
  // A watch of its own is refused here, not the member.
  return fault.kind === 'connection' ? new EtcdFault('busy', fault.message) : fault;
}
