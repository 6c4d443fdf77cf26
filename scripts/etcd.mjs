/**
 * Where the etcd binary comes from: the rules that the setup script, the tests and the demo share.
 * Node's built-ins alone, because it runs before anything is installed.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Where the setup script unpacks an etcd of its own. */
export const localDirectory = join(root, '.etcd');

/**
 * The etcd binary and where it was found, or undefined: `ETCD_BIN`, else the PATH, else `.etcd/`.
 *
 * An `ETCD_BIN` that cannot be run throws: the user wants that one and no other.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string} [directory]
 * @returns {{ readonly path: string, readonly source: 'ETCD_BIN' | 'PATH' | '.etcd' } | undefined}
 */
export function findEtcd(env = process.env, directory = localDirectory) {
  const named = env['ETCD_BIN'];
  if (named !== undefined && named !== '') {
    if (!isExecutable(named)) throw new Error(`ETCD_BIN is ${named}, which is not an executable file`);
    return { path: named, source: 'ETCD_BIN' };
  }
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'etcd');
    if (folder !== '' && isExecutable(path)) return { path, source: 'PATH' };
  }
  const local = localBinary(directory);
  return isExecutable(local) ? { path: local, source: '.etcd' } : undefined;
}

/**
 * The path of the binary inside a local directory: as the Debian and Ubuntu packages lay it out.
 *
 * @param {string} [directory]
 * @returns {string}
 */
export function localBinary(directory = localDirectory) {
  return join(directory, 'usr', 'bin', 'etcd');
}

/**
 * @param {string} path
 * @returns {boolean}
 */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
