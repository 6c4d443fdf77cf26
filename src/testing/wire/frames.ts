import { GrpcError } from './grpc-error.ts';

const HEAD_BYTES = 5;

/** A gRPC frame: a flag (not compressed), the length, the message. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(HEAD_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, HEAD_BYTES);
  return framed;
}

/** Takes the messages out of what arrives in pieces. */
export class FrameReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;

  /** @param maxBytes of a message; a larger one throws, as in Go's gRPC. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that are whole now. Throws a {@link GrpcError}. */
  push(piece: Buffer): Buffer[] {
    this.#pieces.push(piece);
    this.#length += piece.length;
    const messages: Buffer[] = [];
    for (let head = this.#head(); head !== undefined; head = this.#head()) {
      const length = head.readUInt32BE(1);
      if (head[0] !== 0) throw new GrpcError('UNIMPLEMENTED', 'grpc: Decompressor is not installed for grpc-encoding');
      if (length > this.#maxBytes) {
        const text = `grpc: received message larger than max (${length} vs. ${this.#maxBytes})`;
        throw new GrpcError('RESOURCE_EXHAUSTED', text);
      }
      if (this.#length < HEAD_BYTES + length) break;
      const all = this.#joined();
      messages.push(all.subarray(HEAD_BYTES, HEAD_BYTES + length));
      this.#length -= HEAD_BYTES + length;
      this.#pieces = this.#length > 0 ? [all.subarray(HEAD_BYTES + length)] : [];
    }
    return messages;
  }

  #head(): Buffer | undefined {
    if (this.#length < HEAD_BYTES) return undefined;
    const first = this.#pieces[0];
    return first !== undefined && first.length >= HEAD_BYTES ? first : this.#joined();
  }

  #joined(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] as Buffer;
  }
}
