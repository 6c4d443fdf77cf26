import type { Connection } from '../etcd/member.ts';

/**
 * How many registrations of a connection may be between the request for their lease and the first answer about their
 * keys: enough to fill a far connection.
 */
const MAX_STARTING = 64;

/** Who waits for a place. */
export interface Starter {
  onAdmitted(): void;
}

/**
 * A start paced by answers: a registration is made whole before others begin, so that ten thousand leases do not need
 * renewals while most of them still wait for their keys. First come, first served.
 */
export class StartGate {
  readonly #waiting = new Set<Starter>();
  readonly #starting = new Set<Starter>();
  #isAdmitting = false;

  enter(starter: Starter): void {
    this.#waiting.add(starter);
    this.#admit();
  }

  /** Also for one that still waits. */
  leave(starter: Starter): void {
    this.#waiting.delete(starter);
    if (this.#starting.delete(starter)) this.#admit();
  }

  // A loop, and one at a time: thousands that leave at once, each let in by the one before, would overflow the stack.
  #admit(): void {
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    try {
      for (const starter of this.#waiting) {
        if (this.#starting.size >= MAX_STARTING) break;
        this.#waiting.delete(starter);
        this.#starting.add(starter);
        starter.onAdmitted();
      }
    } finally {
      this.#isAdmitting = false;
    }
  }
}

const gates = new WeakMap<Connection, StartGate>();

/** The one of a connection. */
export function startGateOf(connection: Connection): StartGate {
  let gate = gates.get(connection);
  if (gate === undefined) gates.set(connection, (gate = new StartGate()));
  return gate;
}
