// `portico/quic` over real sockets of this machine.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { identityOf, made, serverExtensions } from '../protocols/quic/tls/testing/certificates.ts';
import { DAY, newKey } from '../security/certificate.ts';
import { ConnectionError, connect, listen, type QuicLine } from './quic.ts';

const own = made({
  name: 'localhost',
  key: newKey(),
  from: Date.now() - DAY,
  to: Date.now() + DAY,
  extensions: serverExtensions(['localhost', '127.0.0.1']),
});
const lines: QuicLine[] = [];
const listening = await listen({ alpn: ['echo'], ...identityOf(own) }, (line) => {
  lines.push(line);
  void echo(line);
});
after(() => listening.close());

async function echo(line: QuicLine): Promise<void> {
  for await (const { stream } of line)
    void (async () => {
      for await (const bytes of stream) await stream.write(bytes);
      stream.end();
    })();
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const bytes of stream) pieces.push(bytes);
  return Buffer.concat(pieces).toString();
}

test('streams, a datagram, and the end', { timeout: 20_000 }, async () => {
  const line = await connect('127.0.0.1', listening.port, { alpn: ['echo'], verify: false });
  assert.equal(line.alpn, 'echo');
  const streams = await Promise.all([1, 2, 3].map(() => line.open()));
  const texts = streams.map(async (stream, index) => {
    await stream.write(Buffer.from(`stream ${index} `.repeat(50_000)));
    stream.end();
    return textOf(stream);
  });
  for (const [index, text] of (await Promise.all(texts)).entries())
    assert.equal(text, `stream ${index} `.repeat(50_000));
  assert.ok(line.datagramMax > 1_000);
  assert.ok(line.sendDatagram(Buffer.from('hello')));
  for await (const bytes of lines[0]!.datagrams) {
    assert.equal(bytes.toString(), 'hello');
    break;
  }
  await line.close(7, 'done');
  await assert.rejects(line.open(), ConnectionError);
});

test('a certificate that nobody vouches for is refused', { timeout: 20_000 }, async () => {
  await assert.rejects(connect('127.0.0.1', listening.port, { alpn: ['echo'] }), /no authority that is trusted/);
});

test('no protocol in common', { timeout: 20_000 }, async () => {
  await assert.rejects(connect('127.0.0.1', listening.port, { alpn: ['other'], verify: false }), ConnectionError);
});
