/**
 * Where `remember` keeps the last known snapshot: one text, as a whole.
 *
 * Both functions are called on behalf of one subscription, never twice at once. A rejected promise is
 * reported and otherwise ignored: a store may fail, and the stream goes on.
 */
export interface SnapshotStore {
  /** What was saved last; `undefined` when nothing was. */
  load(): Promise<string | undefined>;
  /** Replaces what was saved, so that a later `load` gives the old text or the new one, never a part. */
  save(text: string): Promise<void>;
}
