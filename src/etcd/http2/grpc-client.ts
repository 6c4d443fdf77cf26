import { reasonOf } from '../../errors.ts';
import { RpcError, STATUS } from '../rpc-error.ts';
import type { CallOptions, Duplex, GrpcClient } from '../rpc.ts';
import type { Channel, DuplexCall, Metadata } from './channel.ts';

const DEFAULT_SILENCE_MS = 10_000;

/** Told of what goes over a stream. */
export interface StreamObserver {
  opened(): void;
  heard(): void;
  wrote(request: object): void;
  closed(): void;
}

/**
 * A channel as the calls of a member see it.
 *
 * @param observers of streams, by their path.
 */
export function grpcClientOf(
  channel: Channel,
  headers: () => Metadata,
  observers: ReadonlyMap<string, StreamObserver> = new Map(),
): GrpcClient {
  const metadataOf = (options: CallOptions): Metadata => ({ ...headers(), ...options.metadata });
  return {
    makeUnaryRequest(path, serialize, deserialize, request, options, callback) {
      const { timeoutMs = DEFAULT_SILENCE_MS, isLong = false } = options;
      return channel.unary(
        path,
        serialize(request),
        { metadata: metadataOf(options), silenceMs: timeoutMs, timeoutMs: isLong ? undefined : timeoutMs },
        (result) => {
          if (result instanceof RpcError) {
            callback(result);
            return;
          }
          let answer: unknown;
          try {
            answer = deserialize(result);
          } catch (error) {
            callback(unreadable(error));
            return;
          }
          callback(null, answer);
        },
      );
    },
    makeBidiStreamRequest(path, serialize, deserialize, options) {
      return duplexOf(channel, path, serialize, deserialize, metadataOf(options), observers.get(path));
    },
    close() {
      channel.close();
    },
  };
}

function duplexOf(
  channel: Channel,
  path: string,
  serialize: (request: object) => Buffer,
  deserialize: (bytes: Buffer) => unknown,
  metadata: Metadata,
  observer: StreamObserver | undefined,
): Duplex {
  let isOpen = true;
  let onData: (response: never) => void = () => undefined;
  let onError: (error: Error) => void = () => undefined;
  let onEnd: () => void = () => undefined;
  const close = (): void => {
    if (isOpen) observer?.closed();
    isOpen = false;
  };
  const call: DuplexCall = channel.duplex(path, metadata, {
    onMessage: (message) => {
      observer?.heard();
      let response: unknown;
      try {
        response = deserialize(message);
      } catch (error) {
        call.cancel();
        close();
        onError(unreadable(error));
        return;
      }
      onData(response as never);
    },
    onEnd: () => {
      close();
      onEnd();
    },
    onError: (error) => {
      close();
      onError(error);
    },
  });
  observer?.opened();
  return {
    write(request) {
      observer?.wrote(request);
      call.write(serialize(request));
      return true;
    },
    end() {
      call.end();
    },
    cancel() {
      close();
      call.cancel();
    },
    on(event: 'data' | 'error' | 'end', listener: never) {
      if (event === 'data') onData = listener;
      else if (event === 'error') onError = listener;
      else onEnd = listener;
      return undefined;
    },
  };
}

function unreadable(error: unknown): RpcError {
  return new RpcError(STATUS.UNAVAILABLE, `an answer cannot be read: ${reasonOf(error)}`, 'stream', { cause: error });
}
