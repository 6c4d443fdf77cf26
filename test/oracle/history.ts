/** One write of a transaction; without a value, a deletion. */
export interface Write {
  readonly key: string;
  readonly value: string | undefined;
}

/**
 * What etcd held at every revision, in every history it had: a wiped or restored server begins another
 * one, an *era*. It knows only what the writer says.
 */
export class History {
  readonly #eras: Era[] = [newEra()];

  get era(): number {
    return this.#eras.length - 1;
  }

  get revision(): number {
    return this.#current.revision;
  }

  get #current(): Era {
    return this.#eras[this.era] as Era;
  }

  /** The keys there are now. */
  keys(): string[] {
    return [...this.stateAt(this.era, this.revision).keys()];
  }

  record(revision: number, writes: readonly Write[]): void {
    const era = this.#current;
    if (era.writes.has(revision)) throw new Error(`revision ${revision} was written twice`);
    era.writes.set(revision, writes);
    era.revision = Math.max(era.revision, revision);
  }

  /** The server was wiped (`revision` 1) or restored to what it held at a revision of the present era. */
  replace(revision: number): void {
    const next = newEra();
    for (const [at, writes] of this.#current.writes) if (at <= revision) next.writes.set(at, writes);
    next.revision = revision;
    this.#eras.push(next);
  }

  stateAt(era: number, revision: number): ReadonlyMap<string, string> {
    const { writes, cursor } = this.#eras[era] as Era;
    // Asked in rising order nearly always, so each write is applied once.
    if (revision < cursor.revision) {
      cursor.revision = 1;
      cursor.state.clear();
    }
    while (cursor.revision < revision) {
      cursor.revision += 1;
      for (const write of writes.get(cursor.revision) ?? []) {
        if (write.value !== undefined) cursor.state.set(write.key, write.value);
        else cursor.state.delete(write.key);
      }
    }
    return cursor.state;
  }

  /** Why a map is not what etcd held under a prefix at a revision, `undefined` if it is. */
  difference(era: number, revision: number, prefix: string, map: ReadonlyMap<string, string>): string | undefined {
    if (revision > (this.#eras[era] as Era).revision) return `revision ${revision} is ahead of the history`;
    const expected = [...this.stateAt(era, revision)].filter(([key]) => key.startsWith(prefix));
    expected.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const got = [...map];
    if (got.length !== expected.length)
      return `${got.length} keys, expected ${expected.length}, at revision ${revision}`;
    const wrong = got.findIndex(([key, value], index) => key !== expected[index]?.[0] || value !== expected[index][1]);
    if (wrong === -1) return undefined;
    const show = (entry: readonly [string, string] | undefined): string =>
      entry === undefined ? 'nothing' : `${entry[0]}=${entry[1].slice(0, 30)}`;
    return `${show(got[wrong])}, expected ${show(expected[wrong])}, at revision ${revision}`;
  }
}

interface Era {
  readonly writes: Map<number, readonly Write[]>;
  readonly cursor: { revision: number; readonly state: Map<string, string> };
  revision: number;
}

// A new etcd stands at revision 1, and the first write is 2.
function newEra(): Era {
  return { writes: new Map(), cursor: { revision: 1, state: new Map() }, revision: 1 };
}
