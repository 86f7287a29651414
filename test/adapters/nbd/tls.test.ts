/** TLS: who has a certificate of the right authority is served, and nobody else gets past the handshake. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, vi } from 'vitest';
import { Command, Option, OptionReply } from '#dist/src/nbd/constants.js';
import { encodeInfoRequest, encodeOption } from '#dist/src/nbd/messages.js';
import type { NbdServer } from '#dist/src/nbd.js';
import { expectCode } from '../../support/expect-code.js';
import { itWith, run, succeed } from '../../support/programs.js';
import { type Certificates, makeCertificates } from './certificates.js';
import { RawClient } from './raw-client.js';
import { MIB, makeFile, servedStore } from './served-store.js';

const served = servedStore();
let certificates: Certificates;
let server: NbdServer;

function keys(from: Certificates): { key: Buffer; cert: Buffer; ca: Buffer } {
  return { key: readFileSync(from.serverKey), cert: readFileSync(from.serverCert), ca: readFileSync(from.ca) };
}

async function started(): Promise<void> {
  if (server !== undefined) return;
  certificates = await makeCertificates(join(served.directory, 'pki'));
  await makeFile(served.store, 'secret', 4 * MIB, Buffer.from('secret'));
  server = await served.serve({ host: 'localhost', port: 0, tls: keys(certificates) });
}

async function plain(): Promise<RawClient> {
  const client = new RawClient(connect({ host: '127.0.0.1', port: server.port as number }));
  await client.greet();
  return client;
}

itWith(['openssl', 'nbdinfo', 'nbdcopy'], 'libnbd with a certificate is served', async () => {
  await started();
  const uri = `nbds://localhost:${server.port}/secret?tls-certificates=${certificates.directory}`;
  const about = JSON.parse(await succeed('nbdinfo', ['--json', uri]));
  expect(about).toMatchObject({ TLS: true, structured: true });
  const copy = join(served.directory, 'secret.raw');
  await succeed('nbdcopy', [uri, copy]);
  expect(readFileSync(copy).subarray(0, 6).toString()).toBe('secret');
});

itWith(['openssl', 'qemu-img'], 'qemu with a certificate is served', async () => {
  await started();
  const creds = `tls-creds-x509,id=tls0,endpoint=client,dir=${certificates.directory}`;
  const options = `driver=nbd,host=localhost,port=${server.port},export=secret,tls-creds=tls0`;
  const info = await succeed('qemu-img', ['info', '--object', creds, '--image-opts', options]);
  expect(info).toContain('4 MiB');
});

itWith(['openssl', 'nbdinfo'], 'clients without a certificate, or with another authority, are refused', async () => {
  await started();
  const without = await run('nbdinfo', [`nbd://localhost:${server.port}/secret`]);
  expect(without.code).not.toBe(0);
  const others = await makeCertificates(join(served.directory, 'others'));
  const wrong = await run('nbdinfo', [
    `nbds://localhost:${server.port}/secret?tls-certificates=${others.directory}&tls-verify-peer=false`,
  ]);
  expect(wrong.code).not.toBe(0);
  expect(wrong.stdout).toBe('');
  // The client may be gone before the server has noticed.
  await vi.waitFor(() => expect(served.lines.some((line) => /TLS: /.test(line))).toBe(true), 10_000);
});

itWith(['openssl'], 'nothing is told before TLS, and nothing that came before it is believed', async () => {
  await started();
  const client = await plain();
  for (const option of [Option.List, Option.StructuredReply, 99]) {
    expect((await client.option(option)).map(({ type }) => type)).toEqual([OptionReply.ErrorTlsRequired]);
  }
  const go = await client.option(Option.Go, encodeInfoRequest('secret', []));
  expect(go.map(({ type }) => type)).toEqual([OptionReply.ErrorTlsRequired]);
  expect((await client.option(Option.StartTls, Buffer.alloc(1)))[0].type).toBe(OptionReply.ErrorInvalid);
  client.send(encodeOption(Option.ExportName, Buffer.from('secret')));
  await client.untilClosed();
  // An option smuggled in behind STARTTLS, in the clear.
  const smuggler = await plain();
  smuggler.send(
    Buffer.concat([encodeOption(Option.StartTls, Buffer.alloc(0)), encodeOption(Option.List, Buffer.alloc(0))]),
  );
  await smuggler.untilClosed();
  // Not even the greeting's flags.
  const old = new RawClient(connect({ host: '127.0.0.1', port: server.port as number }));
  await old.greet(0);
  await old.untilClosed();
});

itWith(['openssl'], 'TLS without a certificate ends at the handshake, also from Node', async () => {
  await started();
  for (const own of [{}, { key: readFileSync(certificates.serverKey), cert: readFileSync(certificates.serverCert) }]) {
    const client = await plain();
    expect((await client.option(Option.StartTls))[0].type).toBe(OptionReply.Ack);
    client.socket.removeAllListeners('data');
    const secured = connectTls({
      socket: client.socket,
      ca: readFileSync(certificates.ca),
      servername: 'localhost',
      ...own,
    });
    const inside = new RawClient(secured);
    // A server's certificate is none for a client.
    await inside.untilClosed();
    await expect(inside.take(1)).rejects.toThrow();
  }
});

itWith(['openssl'], 'a client with a certificate may negotiate anew, and read', async () => {
  await started();
  const client = await plain();
  await client.option(Option.StartTls);
  client.socket.removeAllListeners('data');
  const secured = connectTls({
    socket: client.socket,
    ca: readFileSync(certificates.ca),
    servername: 'localhost',
    key: readFileSync(join(certificates.directory, 'client-key.pem')),
    cert: readFileSync(join(certificates.directory, 'client-cert.pem')),
  });
  const inside = new RawClient(secured);
  expect((await inside.option(Option.StartTls))[0].type).toBe(OptionReply.ErrorInvalid);
  expect((await inside.option(Option.List)).length).toBe(2);
  expect((await inside.option(Option.Go, encodeInfoRequest('secret', []))).at(-1)?.type).toBe(OptionReply.Ack);
  inside.request(Command.Read, 1, 0, 6);
  expect((await inside.reply(6)).chunks[0].payload.toString()).toBe('secret');
  inside.close();
});

itWith(['openssl'], 'an address that others reach is served with TLS, and half of TLS is refused', async () => {
  await started();
  const everywhere = await served.serve({ host: '0.0.0.0', port: 0, tls: keys(certificates) });
  expect(everywhere.uri).toBe(`nbds://0.0.0.0:${everywhere.port}`);
  const { key, cert } = keys(certificates);
  await expect(served.serve({ port: 0, tls: { key, cert } as never })).rejects.toThrow('tls.ca is missing');
  await expect(served.serve({ port: 0, tls: { key: 'x', cert, ca: 'y' } })).rejects.toThrow();
  await expectCode('EACCES', () => served.serve({ host: '0.0.0.0', port: 0 }));
});
