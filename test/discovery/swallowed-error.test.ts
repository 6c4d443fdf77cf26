import { NEVER, of } from 'rxjs';
import { expect, test } from 'vitest';
import { watchRange$ } from '../../src/discovery/watch-range.ts';
import type { Connection, Member } from '../../src/etcd/member.ts';

test('a bug is an error notification, not silence as if a connection were awaited', () => {
  const mistake = new TypeError('a mistake');
  const member = {
    host: 'fake',
    list$: () => {
      throw mistake;
    },
    watch$: () => NEVER,
  } as unknown as Member;
  const connection: Pick<Connection, 'member$'> = { member$: of({ status: 'up', member }) };
  const errors: unknown[] = [];
  watchRange$(connection, { key: Uint8Array.of(97), namespaceBytes: 0 }, {}).subscribe({
    error: (error: unknown) => errors.push(error),
  });
  expect(errors).toEqual([mistake]);
});
