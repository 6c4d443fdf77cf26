/**
 * Brings what the demo and the tests need into this checkout, and nothing outside it except by Homebrew:
 * node_modules by `npm ci`, and an etcd by the rules of etcd.mjs. Node's built-ins alone, because it runs
 * first. Running it again does nothing that is done; two at once wait for one another.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { findEtcd, localBinary, localDirectory, root } from './etcd.mjs';

const advice = 'Install etcd 3.4 or later so that it is on the PATH, or set ETCD_BIN to its binary.';

/** What the setup cannot do; its message says what to do instead. */
class SetupError extends Error {}

try {
  mkdirSync(localDirectory, { recursive: true });
  const release = await lock(join(localDirectory, 'setup.lock'));
  try {
    installPackages();
    installEtcd();
  } finally {
    release();
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

function installPackages() {
  // npm writes this file last of all that `npm ci` writes.
  const installed = join(root, 'node_modules', '.package-lock.json');
  const reason = !existsSync(installed)
    ? 'node_modules is missing'
    : statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs
      ? 'node_modules is older than package-lock.json'
      : undefined;
  if (reason === undefined) return;
  say(`${reason}: npm ci`);
  const result = run('npm', ['ci', '--include=dev', '--no-progress'], root);
  if (!result.ok) throw new SetupError(`npm ci failed:\n${result.output}`);
}

function installEtcd() {
  const present = find();
  if (present !== undefined) {
    const version = /etcd Version: (\S+)/.exec(run(present.path, ['--version']).output)?.[1] ?? 'of unknown version';
    say(`etcd ${version} from ${present.source === '.etcd' ? '.etcd/' : `${present.source} (${present.path})`}`);
    return;
  }
  if (hasCommand('apt-get') && hasCommand('dpkg-deb')) installFromDebian();
  else if (hasCommand('brew')) installFromHomebrew();
  else throw new SetupError(`no etcd found, and no package manager that this script knows. ${advice}`);
  if (find() === undefined) throw new SetupError(`the package holds no etcd binary. ${advice}`);
  installEtcd();
}

function find() {
  try {
    return findEtcd();
  } catch (error) {
    throw new SetupError(error instanceof Error ? error.message : String(error));
  }
}

// The package is unpacked into the checkout and not installed: an installed one would start a service on etcd's
// ordinary port, and need root.
function installFromDebian() {
  const work = mkdtempSync(join(localDirectory, 'new-'));
  try {
    say('no etcd found: unpacking the etcd-server package into .etcd/');
    let download = downloadPackage(work, []);
    if (!download.ok) {
      say("the system's package lists do not have it: fetching lists of our own (apt-get update into .etcd/apt)");
      const config = writeAptConfig();
      // Its exit code says nothing of use: it is 0 when a source could not be reached, and not 0 when only a
      // source that does not matter here is broken. Whether the package can be had is what counts.
      const update = run('apt-get', ['-c', config, 'update'], work);
      download = downloadPackage(work, ['-c', config]);
      if (!download.ok) {
        throw new SetupError(`apt has no etcd package. ${advice}\n${update.output}\n${download.output}`);
      }
    }
    const archive = readdirSync(work).find((name) => name.endsWith('.deb')) ?? '';
    const unpacked = run('dpkg-deb', ['-x', join(work, archive), join(work, 'unpacked')]);
    if (!unpacked.ok) throw new SetupError(`dpkg-deb failed:\n${unpacked.output}`);
    rmSync(join(localDirectory, 'usr'), { recursive: true, force: true });
    renameSync(join(work, 'unpacked', 'usr'), join(localDirectory, 'usr'));
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(join(localDirectory, 'apt'), { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @param {readonly string[]} options
 */
function downloadPackage(directory, options) {
  let output = '';
  // Older releases of Ubuntu have the server in `etcd`, newer ones in `etcd-server`.
  for (const name of ['etcd-server', 'etcd']) {
    const result = run('apt-get', [...options, ...sandbox(), 'download', name], directory);
    if (result.ok) return result;
    output += result.output;
  }
  return { ok: false, output };
}

// Lists and cache inside the checkout, so that it works without root; and without the hooks by which the
// system's own updates tell desktop services or clean the system's cache.
function writeAptConfig() {
  const directory = join(localDirectory, 'apt');
  mkdirSync(join(directory, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(directory, 'cache', 'archives', 'partial'), { recursive: true });
  const config = join(directory, 'apt.conf');
  writeFileSync(
    config,
    [
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      '#clear DPkg::Post-Invoke;',
      `Dir::State::Lists "${join(directory, 'lists')}";`,
      `Dir::Cache "${join(directory, 'cache')}";`,
      'Dir::Cache::archives "archives";',
      'Acquire::Languages "none";',
      'Acquire::http::Timeout "20";',
      'Acquire::https::Timeout "20";',
      ...(isRoot() ? ['APT::Sandbox::User "root";'] : []),
      '',
    ].join('\n'),
  );
  return config;
}

// Root's apt downloads as a user of its own, who may have no way into this checkout.
function sandbox() {
  return isRoot() ? ['-o', 'APT::Sandbox::User=root'] : [];
}

function isRoot() {
  return process.getuid?.() === 0;
}

function installFromHomebrew() {
  say('no etcd found: brew install etcd');
  const result = run('brew', ['install', 'etcd']);
  if (!result.ok) throw new SetupError(`brew install etcd failed. ${advice}\n${result.output}`);
  if (find() !== undefined) return;
  // Homebrew's folder may not be on the PATH.
  const prefix = run('brew', ['--prefix', 'etcd']).output.trim();
  mkdirSync(dirname(localBinary()), { recursive: true });
  symlinkSync(join(prefix, 'bin', 'etcd'), localBinary());
}

/**
 * @param {string} command
 * @returns {boolean}
 */
function hasCommand(command) {
  return run('sh', ['-c', `command -v ${command}`]).ok;
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} [cwd]
 * @returns {{ readonly ok: boolean, readonly output: string }}
 */
function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const output =
    result.error === undefined ? `${result.stdout}${result.stderr}` : `${command}: ${result.error.message}`;
  return { ok: result.status === 0, output };
}

/** @param {string} text */
function say(text) {
  console.log(`setup: ${text}`);
}

/**
 * Takes a lock that a process which is gone cannot keep.
 *
 * @param {string} path
 * @returns {Promise<() => void>}
 */
async function lock(path) {
  for (let said = false; ;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => {
        rmSync(path, { force: true });
      };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (breakStale(path)) continue;
    if (!said) say('another setup is running in this checkout: waiting for it');
    said = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/**
 * @param {string} path
 * @returns {boolean} whether it is worth trying again at once
 */
function breakStale(path) {
  try {
    const age = Date.now() - statSync(path).mtimeMs;
    const owner = Number(readFileSync(path, 'utf8'));
    // An empty file was made this instant and its owner is about to be written, or never will be.
    if (owner === 0 ? age < 5000 : isAlive(owner)) return false;
    rmSync(path, { force: true });
  } catch {
    // It was released meanwhile.
  }
  return true;
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
