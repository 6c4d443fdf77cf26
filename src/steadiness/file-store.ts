import { open, readFile, rename, rm } from 'node:fs/promises';
import { invalidArgument } from '../errors.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * Keeps a snapshot in a file, for `remember`.
 *
 * Saving writes a file beside it, named after the process, and then renames it over `path`: a reader sees
 * the old content or the new, also after a power failure. The directory must exist. A file that does not
 * exist is nothing saved. Throws `invalid-argument` for an empty path; does nothing until it is used.
 *
 * @example
 * ```ts
 * import { fileStore } from 'rx-etcd';
 *
 * const store = fileStore('/var/cache/shop/users.json');
 * console.log(typeof store.load, typeof store.save); // function function
 * ```
 */
export function fileStore(path: string): SnapshotStore {
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', 'a path', path);
  const temporary = `${path}.${process.pid}.tmp`;
  return {
    async load() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async save(text) {
      try {
        const file = await open(temporary, 'w');
        try {
          await file.writeFile(text);
          // Without it a power failure can leave the new name with no content.
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}
