import { spawnSync } from 'node:child_process';
import { findEtcd } from '../../scripts/etcd.mjs';

/** An etcd binary, and which of the flags that only some versions have it knows. */
export interface EtcdBinary {
  readonly path: string;
  readonly hasUnsafeNoFsync: boolean;
}

let found: EtcdBinary | undefined;

/** The etcd to test on, found as the setup script finds it. A test that needs etcd fails without it. */
export function etcdBinary(): EtcdBinary {
  found ??= inspect();
  return found;
}

function inspect(): EtcdBinary {
  const binary = findEtcd();
  if (binary === undefined) {
    throw new Error('no etcd found (ETCD_BIN, PATH, .etcd/): run `node scripts/setup.mjs` once, which brings one');
  }
  const help = spawnSync(binary.path, ['--help'], { encoding: 'utf8' });
  return { path: binary.path, hasUnsafeNoFsync: `${help.stdout}${help.stderr}`.includes('--unsafe-no-fsync') };
}
