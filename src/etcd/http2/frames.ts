import { RpcError, STATUS } from '../rpc-error.ts';

const HEADER_BYTES = 5;

/** Beyond it a message could not be kept in one piece, whatever the user allows. */
const LONGEST_MESSAGE = 2 ** 31 - 1;

/**
 * A message as gRPC sends it: a byte that says that it is not compressed, four bytes of length, and the message.
 *
 * @source https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** Cuts what a stream receives into its messages, wherever the pieces begin and end. */
export class FrameReader {
  readonly #maxBytes: number;
  /** What has come of a message that is not complete; not joined before it is, so that each byte is copied once. */
  #pieces: Buffer[] = [];
  #pendingBytes = 0;
  /** How many bytes make the pending frame complete, its header included; unknown until the header is there. */
  #wantedBytes = HEADER_BYTES;

  /** @param maxBytes of a message; -1 for no bound. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes < 0 ? LONGEST_MESSAGE : Math.min(maxBytes, LONGEST_MESSAGE);
  }

  /** Whether the last message is cut off so far. */
  get isPending(): boolean {
    return this.#pendingBytes > 0;
  }

  /**
   * Calls back with each message that is complete, in order. Throws an {@link RpcError} for what is no message of ours;
   * it must not be called again then.
   */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    let rest = chunk;
    if (this.#pendingBytes > 0) {
      this.#pieces.push(rest);
      this.#pendingBytes += rest.length;
      if (this.#pendingBytes < this.#wantedBytes) return;
      rest = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#pendingBytes);
      this.#pieces = [];
      this.#pendingBytes = 0;
    }
    let at = 0;
    this.#wantedBytes = HEADER_BYTES;
    while (rest.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + this.#length(rest, at);
      if (end > rest.length) {
        this.#wantedBytes = end - at;
        break;
      }
      const message = rest.subarray(at + HEADER_BYTES, end);
      at = end;
      onMessage(message);
    }
    if (at === rest.length) return;
    this.#pieces.push(at === 0 ? rest : rest.subarray(at));
    this.#pendingBytes = rest.length - at;
  }

  #length(bytes: Buffer, at: number): number {
    const flag = bytes[at] as number;
    if (flag === 1) {
      throw new RpcError(
        STATUS.UNAVAILABLE,
        'the answer is compressed, which was not asked for: something between here and etcd changes it',
        'http',
      );
    }
    if (flag !== 0) {
      throw new RpcError(STATUS.UNAVAILABLE, `the answer is no gRPC message (it begins with byte ${flag})`, 'http');
    }
    const length = bytes.readUInt32BE(at + 1);
    if (length > this.#maxBytes) {
      throw new RpcError(
        STATUS.RESOURCE_EXHAUSTED,
        `an answer of ${length} bytes is larger than max (${this.#maxBytes}, grpc.max_receive_message_length)`,
        // As gRPC says it: asking again does not help.
        'etcd',
        { reason: 'too-large' },
      );
    }
    return length;
  }
}
