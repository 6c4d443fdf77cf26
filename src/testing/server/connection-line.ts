import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { ServerClock } from './clock.ts';

/** What a network may do to the connections of a member. */
export interface LineFaults {
  /** Bytes wait, both ways, until it is false again. */
  frozen: boolean;
  /** Bytes are lost, both ways, and so is the end of a connection. */
  blackHole: boolean;
  /** How long each piece of bytes is on its way to the client. */
  delayMs: number;
  /** After so many more bytes to a client its connection is reset; `undefined`: never. */
  resetAfterBytes: number | undefined;
}

/**
 * A client's connection with the network's faults in between: HTTP/2 speaks with this, and this with the socket. Node's
 * HTTP/2 takes a socket's bytes from below, past `pause` and listeners, so it may not have the socket itself.
 */
export class ConnectionLine extends Duplex {
  readonly #socket: Socket;
  readonly #faults: LineFaults;
  readonly #clock: ServerClock;
  /** What waits for the thaw, or for bytes before it. */
  #waiting: (() => void)[] = [];
  readonly #cancels = new Set<() => void>();

  constructor(socket: Socket, faults: LineFaults, clock: ServerClock) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#faults = faults;
    this.#clock = clock;
    socket.on('data', (piece) => {
      this.#whenThawed(() => {
        if (!this.#faults.blackHole && !this.push(piece)) socket.pause();
      });
    });
    socket.on('end', () => {
      this.#whenThawed(() => {
        if (!this.#faults.blackHole) this.push(null);
      });
    });
    socket.on('close', () => {
      if (!this.#faults.blackHole) this.destroy();
    });
    socket.on('error', () => undefined);
    this.on('error', () => undefined);
  }

  /** Frozen bytes go on. */
  thaw(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) this.#whenThawed(go);
  }

  /** The client sees an RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
    this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { delayMs } = this.#faults;
    if (delayMs > 0) {
      const cancel = this.#clock.after(delayMs, () => {
        this.#cancels.delete(cancel);
        this.#whenThawed(() => {
          this.#forward(piece, done);
        });
      });
      this.#cancels.add(cancel);
    } else {
      this.#whenThawed(() => {
        this.#forward(piece, done);
      });
    }
  }

  override _final(done: () => void): void {
    this.#whenThawed(() => {
      if (!this.#faults.blackHole) this.#socket.end();
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    for (const cancel of this.#cancels) cancel();
    this.#waiting = [];
    if (!this.#faults.blackHole) this.#socket.destroy();
    done(error);
  }

  #forward(piece: Buffer, done: () => void): void {
    const faults = this.#faults;
    if (faults.blackHole) {
      done();
      return;
    }
    const left = faults.resetAfterBytes;
    if (left !== undefined && left < piece.length) {
      faults.resetAfterBytes = undefined;
      // Not done: nothing more is written to this connection.
      this.#socket.write(piece.subarray(0, left), () => {
        this.reset();
      });
      return;
    }
    if (left !== undefined) faults.resetAfterBytes = left - piece.length;
    if (this.#socket.destroyed) done();
    else this.#socket.write(piece, () => done());
  }

  #whenThawed(go: () => void): void {
    if (this.destroyed) return;
    if (this.#faults.frozen) this.#waiting.push(go);
    else go();
  }
}
