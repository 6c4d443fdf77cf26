/** One write of a transaction. */
export type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string };

/**
 * etcd's own HTTP gateway: the oracle writes through it, so that nothing under test, etcd3 and grpc
 * included, has a part in what the oracle knows.
 *
 * @source https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
 */
export interface Gateway {
  /** All writes in one transaction; gives its revision. */
  write(writes: readonly Write[]): Promise<number>;
  revision(): Promise<number>;
  compact(revision: number): Promise<void>;
}

export function gateway(clientUrl: string): Gateway {
  const post = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
    const answer = await fetch(`${clientUrl}/v3/kv/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as { header: { revision: string } };
  };
  return {
    write: async (writes) => Number((await post('txn', { success: writes.map(operation) })).header.revision),
    revision: async () => Number((await post('range', { key: base64('\0'), count_only: true })).header.revision),
    compact: async (revision) => {
      await post('compaction', { revision: String(revision) }).catch((error: unknown) => {
        // Compacted there already: as well.
        if (!String(error).includes('has been compacted')) throw error;
      });
    },
  };
}

function operation(write: Write): object {
  return write.type === 'put'
    ? { request_put: { key: base64(write.key), value: base64(write.value) } }
    : { request_delete_range: { key: base64(write.key) } };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
