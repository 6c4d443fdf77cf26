import { Etcd3, type IOptions } from 'etcd3';
import type { Observable } from 'rxjs';
import { expect } from 'vitest';
import type { PrefixState, RegistrationState, RxEtcdError, Snapshot } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';

/** What a test leaves behind, undone in reverse order. */
export class Stage {
  readonly #undos: (() => unknown)[] = [];

  add(undo: () => unknown): void {
    this.#undos.push(undo);
  }

  client(hosts: string | string[], options: Omit<IOptions, 'hosts'> = {}): Etcd3 {
    const client = new Etcd3({ hosts, ...options });
    this.add(() => {
      client.close();
    });
    return client;
  }

  /** Subscribes, and keeps all states; unsubscribed at the end. */
  record<S extends { readonly status: string }>(states$: Observable<S>): Recording<S> {
    const recording = new Recording(states$);
    this.add(() => {
      recording.unsubscribe();
    });
    return recording;
  }

  async dispose(): Promise<void> {
    for (const undo of this.#undos.splice(0).reverse()) await undo();
  }
}

export class Recording<S extends { readonly status: string }> {
  readonly states: S[] = [];
  error: RxEtcdError | undefined;
  readonly unsubscribe: () => void;

  constructor(states$: Observable<S>) {
    const subscription = states$.subscribe({
      next: (state) => this.states.push(state),
      error: (error: RxEtcdError) => {
        this.error = error;
      },
    });
    this.unsubscribe = () => {
      subscription.unsubscribe();
    };
  }

  get last(): S | undefined {
    return this.states.at(-1);
  }

  /** Each status once, as long as it lasts. */
  get statuses(): string[] {
    return this.states.map(({ status }) => status).filter((status, index, all) => status !== all[index - 1]);
  }
}

/** Resolves when it is live and holds this; the order counts. */
export async function holds(
  recording: Recording<PrefixState<string>>,
  entries: Readonly<Record<string, string>> | ((snapshot: Snapshot<string>) => boolean),
): Promise<void> {
  await eventually(
    () => {
      if (recording.error !== undefined) throw recording.error;
      const { last } = recording;
      if (last?.status !== 'live') return false;
      if (typeof entries === 'function') return entries(last.snapshot);
      expect([...last.snapshot]).toEqual(Object.entries(entries));
      return true;
    },
    { withinMs: 20_000, what: 'the snapshot' },
  );
}

/** Resolves with the state when it is registered, at a later revision than `afterRevision`. */
export function registered(
  recording: Recording<RegistrationState>,
  afterRevision: number = 0,
): Promise<Extract<RegistrationState, { status: 'registered' }>> {
  return eventually(
    () => {
      if (recording.error !== undefined) throw recording.error;
      const { last } = recording;
      return last?.status === 'registered' && last.revision > afterRevision ? last : undefined;
    },
    { withinMs: 15_000, what: 'the registration' },
  );
}

export async function pass(ms: number): Promise<void> {
  const sinceMs = performance.now();
  await eventually(() => performance.now() - sinceMs > ms, { withinMs: ms + 5000, what: 'time that passes' });
}
