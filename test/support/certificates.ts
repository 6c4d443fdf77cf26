import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type CertificateFile =
  | 'ca.crt'
  | 'other-ca.crt'
  | 'server.crt'
  | 'server.key'
  | 'renewed.crt'
  | 'elsewhere.crt'
  | 'expired.crt'
  | 'other-server.crt'
  | 'client.crt'
  | 'client.key';

/** The path of a certificate or key: test/support/tls/README.md says what each is. */
function certificatePath(name: CertificateFile): string {
  return fileURLToPath(new URL(`tls/${name}`, import.meta.url));
}

export function certificate(name: CertificateFile): Buffer {
  return readFileSync(certificatePath(name));
}
