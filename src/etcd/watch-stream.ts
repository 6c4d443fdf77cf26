import { Observable, timer, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';
import { isTooLarge } from './fault-table.ts';
import { EtcdFault, fatalError, toFault } from './faults.ts';
import type { WatchMessage, WatchRequest, WireEvent } from './member.ts';
import type { Duplex } from './rpc.ts';
import { contradiction, unreadable, type WatchResponse } from './wire/messages.ts';

export interface WatchStreamOptions {
  /** Opens a stream, of answers as bytes. */
  readonly open: () => Duplex;
  readonly read: (bytes: Buffer) => WatchResponse;
  /** Sorts what a stream failed with, or the reason it gave. */
  readonly sort: (error: unknown) => EtcdFault;
  /**
   * Looks again at a watcher that was refused: fails with what its subscriber is told; completes when it can be asked
   * for on another stream, because the token of this one had expired.
   */
  readonly refused$: (fault: EtcdFault, request: WatchRequest) => Observable<unknown>;
  /** Told once about a stream that failed by itself, after its watchers were. */
  readonly onFault: (fault: EtcdFault) => void;
  /** Told about every answer: the member is alive. */
  readonly onAnswer: () => void;
  readonly scheduler: SchedulerLike;
  readonly steadyNowMs: () => number;
  /** How much of one revision is held until it is complete. */
  readonly maxHeldBytes?: number;
}

/** How long the oldest create may go unanswered: a member that answers none is given up. */
const CREATE_TIMEOUT_MS = 10_000;

/** For answers that wait to be read in a process that was suspended. */
const CREATE_GRACE_MS = 200;

/**
 * More than any request to etcd can produce with its default limits. Past it the range is listed again, as if its
 * history had been compacted: deleting a million keys at once can come to more.
 */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/** What an event costs beside its bytes. */
const EVENT_BYTES = 100;

/** A create that is not answered yet. */
interface Create {
  /** Undefined when its subscriber has gone since. */
  watcher: Watcher | undefined;
  readonly keyBytes: number;
  readonly sentMs: number;
}

interface Watcher {
  readonly request: WatchRequest;
  readonly subscriber: Subscriber<WatchMessage>;
  stream: StreamState;
  create: Create | undefined;
  /** As the server numbered it; undefined until it has. */
  id: number | undefined;
  /** What is older is dropped. */
  startRevision: number;
  /** Where the server was asked to begin: at that revision, or one earlier. */
  from: number;
  created: boolean;
  /** Up to here all events were told. */
  toldRevision: number;
  /** Events of a revision that is not complete yet. */
  held: WireEvent[];
  heldBytes: number;
  /** Asked for on another stream already, because of an expired token. */
  movedForToken: boolean;
  over: boolean;
}

interface StreamState {
  readonly duplex: Duplex;
  /** By the server's number. */
  readonly watchers: Map<number, Watcher>;
  /** In request order. */
  readonly unanswered: Set<Create>;
  /** Watchers with a subscriber, answered or not. */
  readonly live: Set<Watcher>;
  nextId: number;
  /** When a create was answered last. */
  answeredMs: number;
  silence: Subscription | undefined;
  closed: boolean;
}

/**
 * Many watchers over one bidirectional stream.
 *
 * Creates are answered in request order, so the oldest unanswered one is meant by an answer, and the number in the
 * answer is the watcher's: `etcd grpc-proxy` numbers watches itself and ignores the number asked for. A watcher whose
 * subscriber has gone before the answer is cancelled when the answer comes.
 *
 * An answer is held against its request: events of a key outside the range, and from before the start (a member can hand
 * them out), are dropped. Revisions rise within a watch; when they do not, the watch fails and is resumed from the last
 * complete revision, because dropping what comes late would lose it. A number given twice makes the stream ambiguous,
 * and ends it. Fragments are held back until a revision is complete.
 *
 * A watch of the past is asked for once more, from one revision earlier. Until etcd fixed issues
 * 18089 and 19179 (3.5.18), a watch that begins in the past, at the very revision that is compacted at, is not told
 * of the deletions in it; one that begins before it is told that it was compacted.
 *
 * @source https://etcd.io/docs/v3.5/learning/api/#watch-streams
 * @source https://github.com/etcd-io/etcd/issues/18089
 * @source https://github.com/etcd-io/etcd/issues/19179
 * @source https://github.com/etcd-io/etcd/issues/20221
 */
export function watchStream(options: WatchStreamOptions): (request: WatchRequest) => Observable<WatchMessage> {
  const { scheduler, steadyNowMs, maxHeldBytes = MAX_HELD_BYTES } = options;
  /** Where new watchers go. Another one may still serve older watchers. */
  let current: StreamState | undefined;

  const close = (state: StreamState): void => {
    if (current === state) current = undefined;
    state.closed = true;
    state.silence?.unsubscribe();
    // end() alone would leave the watchers alive on the server.
    state.duplex.end();
    state.duplex.cancel();
  };

  const openStream = (): StreamState => {
    const state: StreamState = {
      duplex: options.open(),
      watchers: new Map(),
      unanswered: new Set(),
      live: new Set(),
      nextId: 1,
      answeredMs: -Infinity,
      silence: undefined,
      closed: false,
    };
    state.duplex.on('error', (error) => {
      fail(state, error);
    });
    state.duplex.on('end', () => {
      fail(state, new EtcdFault('connection', 'the member ended the watch stream'));
    });
    state.duplex.on('data', (bytes: Buffer) => {
      if (state.closed) return;
      options.onAnswer();
      try {
        receive(state, options.read(bytes));
      } catch (error) {
        fail(state, unreadable('watch response', error));
      }
    });
    return state;
  };

  const fail = (state: StreamState, error: unknown): void => {
    // grpc tells of one failure twice, as `error` and as `end`; and of our own cancel too.
    if (state.closed) return;
    close(state);
    const fault = options.sort(error);
    const culprit = culpritOf(state, fault);
    if (culprit !== undefined) {
      // One request was refused by ending the stream of all: the others go on over another stream.
      state.live.delete(culprit);
      for (const watcher of [...state.live]) ask(watcher);
      refuse(culprit, fault);
      return;
    }
    const ofMember = ofWholeMember(fault);
    for (const watcher of [...state.live]) {
      watcher.over = true;
      watcher.subscriber.error(ofMember);
    }
    options.onFault(ofMember);
  };

  /** Asks for a watcher on the present stream, from where it has to go on. */
  const ask = (watcher: Watcher): void => {
    if (watcher.over) return;
    let state: StreamState;
    try {
      state = current ??= openStream();
    } catch (error) {
      end(watcher, toFault(error));
      return;
    }
    watcher.stream = state;
    watcher.startRevision = watcher.toldRevision + 1;
    watcher.from = oneEarlier(watcher.startRevision);
    watcher.held = [];
    watcher.heldBytes = 0;
    state.live.add(watcher);
    create(state, watcher);
  };

  const create = (state: StreamState, watcher: Watcher): void => {
    const { range, previous = false } = watcher.request;
    watcher.id = undefined;
    watcher.create = {
      watcher,
      keyBytes: range.key.length + (range.rangeEnd?.length ?? 0),
      sentMs: steadyNowMs(),
    };
    state.unanswered.add(watcher.create);
    state.duplex.write({
      create_request: {
        key: range.key,
        ...(range.rangeEnd !== undefined && { range_end: range.rangeEnd }),
        start_revision: watcher.from,
        // etcd takes this number; what counts is the one in its answer.
        watch_id: state.nextId++,
        fragment: true,
        prev_kv: previous,
      },
    });
    awaitAnswer(state, CREATE_TIMEOUT_MS);
  };

  /** Looks after `delayMs` whether the oldest create is still unanswered. */
  const awaitAnswer = (state: StreamState, delayMs: number, suspected?: { create: Create; sinceMs: number }): void => {
    if (state.silence !== undefined || state.closed) return;
    state.silence = timer(delayMs, scheduler).subscribe(() => {
      state.silence = undefined;
      const [oldest] = state.unanswered;
      if (oldest === undefined) return;
      const nowMs = steadyNowMs();
      const silentMs = nowMs - Math.max(oldest.sentMs, state.answeredMs);
      if (silentMs < CREATE_TIMEOUT_MS) awaitAnswer(state, CREATE_TIMEOUT_MS - silentMs);
      // Stopped or blocked in the meantime: this timer comes before what waits in the socket.
      else if (suspected?.create !== oldest || nowMs - suspected.sinceMs >= 2 * CREATE_GRACE_MS)
        awaitAnswer(state, CREATE_GRACE_MS, { create: oldest, sinceMs: nowMs });
      else
        fail(
          state,
          new EtcdFault('connection', `no watch was answered for ${Math.round(silentMs)} ms`, { code: 'timeout' }),
        );
    });
  };

  const receive = (state: StreamState, response: WatchResponse): void => {
    const { watchId: id } = response;
    let watcher: Watcher | undefined;
    if (response.created) {
      const [oldest] = state.unanswered;
      // Nobody asked for it.
      if (oldest === undefined) return;
      state.unanswered.delete(oldest);
      state.answeredMs = steadyNowMs();
      if (state.unanswered.size === 0) {
        state.silence?.unsubscribe();
        state.silence = undefined;
      }
      watcher = oldest.watcher;
      if (!response.canceled) {
        if (!(id >= 0) || state.watchers.has(id)) throw contradiction(`a watch was given the number ${id} of another`);
        if (watcher === undefined) {
          cancel(state, id);
          return;
        }
        watcher.create = undefined;
        watcher.id = id;
        state.watchers.set(id, watcher);
      }
    } else watcher = state.watchers.get(id);
    // Unsubscribed meanwhile, or the answer to a cancel.
    if (watcher === undefined) return;
    if (response.canceled) {
      leave(watcher);
      refuse(watcher, cancelFault(response, options.sort));
      return;
    }
    if (response.created && isAskedAgain(state, watcher, response.revision)) return;
    if (!watcher.created) {
      watcher.created = true;
      watcher.subscriber.next({ type: 'created' });
    }
    if (response.eventCount > 0 && !watcher.over) tell(state, watcher, response);
  };

  /** Whether a watch that turned out to begin in the past is asked for once more: see issue 18089 above. */
  const isAskedAgain = (state: StreamState, watcher: Watcher, revision: number): boolean => {
    const earlier = oneEarlier(watcher.startRevision);
    if (watcher.created || revision < watcher.startRevision || watcher.from <= earlier) return false;
    watcher.from = earlier;
    state.watchers.delete(watcher.id as number);
    cancel(state, watcher.id as number);
    create(state, watcher);
    return true;
  };

  const tell = (state: StreamState, watcher: Watcher, response: WatchResponse): void => {
    const { held, request, startRevision } = watcher;
    const known = held.length;
    response.readEvents(request.range, startRevision, held);
    let newest = held[known - 1]?.modRevision ?? watcher.toldRevision + 1;
    for (let index = known; index < held.length; index++) {
      const { modRevision } = held[index] as WireEvent;
      if (modRevision < newest) {
        abandon(state, watcher, contradiction(`an event of revision ${modRevision} came after revision ${newest}`));
        return;
      }
      newest = modRevision;
    }
    if (held.length === 0) return;
    let complete = held;
    let rest: WireEvent[] = [];
    if (response.fragment) {
      // The revision that the fragment ends in may go on in the next one.
      const end = held.findIndex(({ modRevision }) => modRevision === newest);
      rest = end === 0 ? held : held.slice(end);
      complete = end === 0 ? [] : held.slice(0, end);
      watcher.heldBytes = (end === 0 ? watcher.heldBytes : 0) + response.byteLength;
      if (watcher.heldBytes + rest.length * EVENT_BYTES > maxHeldBytes) {
        const message = `revision ${newest} has more than ${maxHeldBytes} bytes of events`;
        abandon(state, watcher, new EtcdFault('compacted', message));
        return;
      }
    }
    watcher.held = rest;
    if (complete.length === 0) return;
    watcher.toldRevision = (complete.at(-1) as WireEvent).modRevision;
    watcher.subscriber.next({ type: 'events', events: complete });
  };

  /** Ends a watcher that the server still has. */
  const abandon = (state: StreamState, watcher: Watcher, fault: EtcdFault): void => {
    if (state.live.size > 1) cancel(state, watcher.id as number);
    leave(watcher);
    end(watcher, fault);
  };

  /** The stream forgets a watcher, and closes after its last one. */
  const leave = (watcher: Watcher): void => {
    const { stream: state, id, create: unanswered } = watcher;
    state.live.delete(watcher);
    if (unanswered !== undefined) unanswered.watcher = undefined;
    if (id !== undefined && state.watchers.get(id) === watcher) state.watchers.delete(id);
    watcher.create = undefined;
    watcher.id = undefined;
    // Before anybody is told: who subscribes in answer to an error gets a new stream.
    if (state.live.size === 0 && !state.closed) close(state);
  };

  const end = (watcher: Watcher, fault: EtcdFault): void => {
    watcher.over = true;
    watcher.subscriber.error(fault);
  };

  const refuse = (watcher: Watcher, fault: EtcdFault): void => {
    const { kind } = fault;
    if (kind !== 'permission-denied' && kind !== 'token' && kind !== 'auth-revision') {
      end(watcher, fault);
      return;
    }
    const { stream } = watcher;
    watcher.subscriber.add(
      options.refused$(fault, watcher.request).subscribe({
        error: (error: unknown) => {
          end(watcher, toFault(error));
        },
        complete: () => {
          if (watcher.movedForToken) {
            end(watcher, new EtcdFault('busy', fault.message, { code: 'token-expired', cause: fault }));
            return;
          }
          watcher.movedForToken = true;
          // Its other watchers stay: an expired token does not disturb them.
          if (current === stream) current = undefined;
          ask(watcher);
        },
      }),
    );
  };

  return (request) =>
    new Observable<WatchMessage>((subscriber) => {
      const state = (current ??= openStream());
      const { startRevision, catchesUp = false } = request;
      const watcher: Watcher = {
        request,
        subscriber,
        stream: state,
        create: undefined,
        id: undefined,
        startRevision,
        from: catchesUp ? oneEarlier(startRevision) : startRevision,
        created: false,
        toldRevision: startRevision - 1,
        held: [],
        heldBytes: 0,
        movedForToken: false,
        over: false,
      };
      state.live.add(watcher);
      create(state, watcher);
      subscriber.add(() => {
        watcher.over = true;
        const { stream, id } = watcher;
        if (stream.closed || !stream.live.has(watcher)) return;
        const isLast = stream.live.size === 1;
        leave(watcher);
        if (!isLast && id !== undefined) cancel(stream, id);
      });
    });
}

function cancel(state: StreamState, id: number): void {
  state.duplex.write({ cancel_request: { watch_id: id } });
}

/** 0 would mean: from now on. */
function oneEarlier(revision: number): number {
  return Math.max(1, revision - 1);
}

/** Whose request it was that ended the stream of all: the largest one not answered, if it was too large; or the oldest. */
function culpritOf(state: StreamState, fault: EtcdFault): Watcher | undefined {
  if (fatalError(fault) === undefined || fault.kind === 'callback-failed' || fault.kind === 'client-closed')
    return undefined;
  const creates = [...state.unanswered];
  if (!isTooLarge(fault.message)) return creates[0]?.watcher;
  const largest = Math.max(...creates.map(({ keyBytes }) => keyBytes));
  return creates.find(({ keyBytes }) => keyBytes === largest)?.watcher;
}

/** What ends a stream speaks against the member, whatever it says; only a token is cured otherwise. */
function ofWholeMember(fault: EtcdFault): EtcdFault {
  const { kind, code, message } = fault;
  if (kind === 'connection' || kind === 'token' || kind === 'callback-failed' || kind === 'client-closed') return fault;
  return new EtcdFault('connection', message, { code, cause: fault.cause });
}

function cancelFault(response: WatchResponse, sort: (error: unknown) => EtcdFault): EtcdFault {
  if (response.compactRevision > 0) {
    return new EtcdFault('compacted', `compacted up to revision ${response.compactRevision}`);
  }
  if (response.cancelReason === '') return new EtcdFault('busy', 'the server cancelled the watch without a reason');
  const fault = sort(new Error(response.cancelReason));
  // A watch of its own is refused here, not the member.
  return fault.kind === 'connection' ? new EtcdFault('busy', fault.message, { code: fault.code }) : fault;
}
