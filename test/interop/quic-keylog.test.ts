// `tlsKeyLog` for QUIC: with it tshark decrypts what crossed between a server of ours and its clients, and finds HTTP/3 in it.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FieldReader } from '../../src/protocols/http3/qpack/field-reader.ts';
import { missing, run } from '../clients.ts';
import { startServer } from '../server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-keylog-'));
after(() => rmSync(folder, { recursive: true }));

interface Captured {
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
}

/** A way to a server that keeps each datagram. */
async function recording(to: number, kept: Captured[]): Promise<number> {
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let client = 0;
  front.on('message', (bytes, { port }) => {
    client = port;
    kept.push({ from: port, to, bytes });
    back.send(bytes, to, '127.0.0.1');
  });
  back.on('message', (bytes) => {
    kept.push({ from: to, to: client, bytes });
    front.send(bytes, client, '127.0.0.1');
  });
  for (const socket of [front, back]) {
    socket.unref();
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  return (front.address() as AddressInfo).port;
}

/** A capture as tcpdump writes it: IPv4 without a link. */
function pcapOf(kept: readonly Captured[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(101, 20);
  const parts: Buffer[] = [head];
  kept.forEach(({ from, to, bytes }, at) => {
    const size = 28 + bytes.length;
    const packet = Buffer.alloc(16 + 28);
    packet.writeUInt32LE(1, 0);
    packet.writeUInt32LE(at, 4);
    packet.writeUInt32LE(size, 8);
    packet.writeUInt32LE(size, 12);
    packet[16] = 0x45;
    packet.writeUInt16BE(size, 18);
    packet[24] = 64;
    packet[25] = 17;
    packet.set([127, 0, 0, 1], 28);
    packet.set([127, 0, 0, 1], 32);
    packet.writeUInt16BE(from, 36);
    packet.writeUInt16BE(to, 38);
    packet.writeUInt16BE(8 + bytes.length, 40);
    parts.push(packet, bytes);
  });
  return Buffer.concat(parts);
}

test('tshark decrypts QUIC by the key log, and finds the frames of HTTP/3', {
  skip: missing('tshark', '--version') || missing('gtlsclient'),
  timeout: 60_000,
}, async () => {
  const keys = join(folder, 'keys.log');
  const config = join(folder, 'portico.config.json');
  writeFileSync(config, JSON.stringify({ tlsKeyLog: keys }));
  const data = join(folder, 'data');
  await using server = await startServer(['--data', data, '--config', config, '--log-level', 'warn']);
  const kept: Captured[] = [];
  const port = await recording(server.port('http3'), kept);
  // Its ServerHello fits in one packet: tshark 4.0 does not wait for the rest of one that does not, as with X25519MLKEM768.
  const asked = await run(
    'gtlsclient',
    ...['--quiet', '--no-quic-dump', '--no-http-dump', '--exit-on-all-streams-close'],
    ...['127.0.0.1', String(port), 'https://localhost/healthz', 'https://localhost/healthz?seen=by-tshark'],
  );
  assert.equal(asked.code, 0, asked.error);
  const log = readFileSync(keys, 'latin1');
  for (const label of [
    'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
    'SERVER_HANDSHAKE_TRAFFIC_SECRET',
    'CLIENT_TRAFFIC_SECRET_0',
    'SERVER_TRAFFIC_SECRET_0',
  ])
    assert.match(log, new RegExp(`^${label} [0-9a-f]{64} [0-9a-f]{64}$`, 'm'));
  assert.equal(statSync(keys).mode & 0o777, 0o600);
  const capture = join(folder, 'quic.pcap');
  writeFileSync(capture, pcapOf(kept));
  const tshark = async (...args: string[]) =>
    (await run('tshark', '-r', capture, '-Y', 'http3', '-T', 'fields', '-e', 'http3.frame_type', ...args)).out;
  // Without the keys there is nothing to be read.
  assert.equal(await tshark(), '');
  const read = await tshark('-e', 'http3.frame_payload', '-o', `tls.keylog_file:${keys}`);
  const cells = read.split('\n').map((line) => line.split('\t').map((each) => each.split(',')));
  const types = cells.flatMap(([type]) => type!);
  // Of either side SETTINGS, and two HEADERS.
  assert.equal(types.filter((type) => type === '4').length, 2, read);
  assert.equal(types.filter((type) => type === '1').length, 4, read);
  const payloads = cells.flatMap(([, payload = []]) => payload);
  assert.equal(payloads.filter((each) => Buffer.from(each, 'hex').includes('"status":"ok"')).length, 2, read);
  // tshark 4.0 leaves the fields as they are coded: what it decrypted is what the client asked for.
  const paths = payloads.filter((payload) => payload.startsWith('0000')).map(pathOf);
  assert.deepEqual(paths, ['/healthz', '/healthz?seen=by-tshark']);
});

/** The path of a field section that needs no table. */
function pathOf(payload: string): string | undefined {
  const reader = new FieldReader({ tableBytesMax: 0, headBytesMax: 65_536, fieldsMax: 100 });
  const bytes = Buffer.from(payload, 'hex');
  assert.equal(reader.read(bytes, 0, bytes.length), bytes.length);
  return reader.list[reader.list.indexOf(':path') + 1];
}
