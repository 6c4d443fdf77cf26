import { NEVER, of } from 'rxjs';
import { expect, test } from 'vitest';
import { followRange$ } from '../../src/discovery/follow-range.ts';
import type { Connection, Link } from '../../src/etcd/link.ts';

test('a mistake in code is an error notification, not silence for ever as if a connection were awaited', () => {
  const mistake = new TypeError('a mistake');
  const link = {
    host: 'fake',
    list$: () => {
      throw mistake;
    },
    watch$: () => NEVER,
  } as unknown as Link;
  const connection: Pick<Connection, 'link$'> = { link$: of({ status: 'up', link }) };
  const errors: unknown[] = [];
  followRange$(connection, { key: Uint8Array.of(97), namespaceBytes: 0 }, {}).subscribe({
    error: (error: unknown) => errors.push(error),
  });
  expect(errors).toEqual([mistake]);
});
