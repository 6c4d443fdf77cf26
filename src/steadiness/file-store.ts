import { constants } from 'node:fs';
import { open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { invalidArgument } from '../errors.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * Keeps a snapshot in a file, for `remember`.
 *
 * Saving writes another file beside it, and renames it over `path`: a reader sees the old content or the new one, also
 * after a power failure, and with any number of writers in threads, processes and containers (the last rename wins). The
 * other file has a random name, which must not exist yet; the file's mode is kept. The
 * directory must exist. A file that does not exist is nothing saved. Throws `invalid-argument` for an empty path; does
 * nothing until it is used.
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
  if (typeof path !== 'string' || path === '' || path.includes('\0')) throw invalidArgument('path', 'a path', path);
  return {
    async load() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async save(text) {
      const temporary = `${path}.${randomUUID()}.tmp`;
      const mode = await modeOf(path);
      // Exclusive: it neither follows a link nor takes a file that somebody planted under this name.
      const file = await open(
        temporary,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
        mode === undefined ? 0o666 : 0o600,
      );
      try {
        await write(file, text, mode);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncDirectory(dirname(path));
    },
  };
}

async function write(file: FileHandle, text: string, mode: number | undefined): Promise<void> {
  try {
    await file.writeFile(text);
    // The mode of `open` is cut by the process's umask.
    if (mode !== undefined) await file.chmod(mode);
    // Without it a power failure can leave the new name with no content.
    await file.sync();
  } finally {
    await file.close();
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o7777;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Makes the new name last, where the platform can: Windows opens no directory. The content is safe without it. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined);
  try {
    await directory?.sync();
  } catch {
    // Some file systems refuse it.
  } finally {
    await directory?.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
