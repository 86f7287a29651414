/** Certificates made for the length of a test, in the file names that libnbd looks for, by openssl. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeed } from '../../support/programs.js';

export interface Certificates {
  /** Holds ca-cert.pem, client-cert.pem and client-key.pem. */
  directory: string;
  ca: string;
  serverCert: string;
  serverKey: string;
}

/** An authority, a server `localhost` and a client, signed by it. */
export async function makeCertificates(directory: string): Promise<Certificates> {
  mkdirSync(directory);
  const path = (name: string): string => join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await succeed('openssl', [
    ...['req', '-x509', ...key, '-keyout', path('ca-key.pem'), '-out', path('ca-cert.pem'), '-days', '2'],
    ...['-subj', '/CN=authority', '-addext', 'basicConstraints=critical,CA:TRUE'],
  ]);
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1\n';
  const uses: Record<string, string> = {
    server: `extendedKeyUsage=serverAuth\n${names}`,
    client: 'extendedKeyUsage=clientAuth\n',
  };
  for (const [who, extensions] of Object.entries(uses)) {
    writeFileSync(path(`${who}.ext`), extensions);
    await succeed('openssl', [
      ...['req', '-new', ...key, '-keyout', path(`${who}-key.pem`), '-out', path(`${who}.csr`), '-subj', `/CN=${who}`],
    ]);
    await succeed('openssl', [
      ...['x509', '-req', '-in', path(`${who}.csr`), '-CA', path('ca-cert.pem'), '-CAkey', path('ca-key.pem')],
      ...['-CAcreateserial', '-out', path(`${who}-cert.pem`), '-days', '2', '-extfile', path(`${who}.ext`)],
    ]);
  }
  return {
    directory,
    ca: path('ca-cert.pem'),
    serverCert: path('server-cert.pem'),
    serverKey: path('server-key.pem'),
  };
}
