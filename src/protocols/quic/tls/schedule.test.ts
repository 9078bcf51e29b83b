import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { test } from 'node:test';
import { isFault, readClientHello, readServerHello } from './hello.ts';
import { finishedData, KeySchedule, Transcript } from './schedule.ts';
import { keyOf, readCertificates } from './shown.ts';
import { schemeOf, verifyTranscript } from './signatures.ts';
import { messagesOf } from './testing/messages.ts';
import * as trace from './vectors/rfc8448.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

function add(transcript: Transcript, ...messages: readonly Buffer[]): void {
  for (const message of messages) transcript.add(message, 0, message.length);
}

test('RFC 8448 §3: the key exchange', () => {
  const key = Buffer.concat([hex('302e020100300506032b656e04220420'), hex(trace.CLIENT_KEY)]);
  const hello = readServerHello(trace.SERVER_HELLO, 4, trace.SERVER_HELLO.length, new Set([51, 43]));
  assert.ok(!isFault(hello));
  assert.deepEqual([hello.suite, hello.group, hello.retry], [0x1301, 0x001d, false]);
  const share = trace.SERVER_HELLO.subarray(hello.share!.start, hello.share!.end);
  const other = Buffer.concat([hex('302a300506032b656e032100'), share]);
  const secret = diffieHellman({
    privateKey: createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    publicKey: createPublicKey({ key: other, format: 'der', type: 'spki' }),
  });
  assert.equal(secret.toString('hex'), trace.SHARED);
});

test('RFC 8448 §3: the ClientHello', () => {
  const hello = readClientHello(trace.CLIENT_HELLO, 4, trace.CLIENT_HELLO.length);
  assert.ok(!isFault(hello));
  assert.deepEqual(hello.suites, [0x1301, 0x1303, 0x1302]);
  assert.deepEqual(hello.versions, [0x0304]);
  assert.equal(hello.serverName, 'server');
  assert.deepEqual(hello.groups, [0x1d, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104]);
  assert.deepEqual([...hello.shares!.keys()], [0x1d]);
  assert.deepEqual(hello.modes, [1]);
  assert.equal(hello.schemes?.length, 15);
});

test('RFC 8448 §3: secrets, Finished and CertificateVerify', () => {
  const transcript = new Transcript();
  add(transcript, trace.CLIENT_HELLO);
  transcript.begin('sha256');
  add(transcript, trace.SERVER_HELLO);
  const schedule = new KeySchedule('sha256', null);
  schedule.advance(hex(trace.SHARED));
  const client = schedule.derive('c hs traffic', transcript.digest());
  const server = schedule.derive('s hs traffic', transcript.digest());
  assert.equal(client.toString('hex'), trace.CLIENT_HANDSHAKE);
  assert.equal(server.toString('hex'), trace.SERVER_HANDSHAKE);
  const [extensions, certificate, verify, finished] = messagesOf(trace.SERVER_FLIGHT) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  add(transcript, extensions, certificate);
  const chain = readCertificates(certificate, 4, certificate.length, 10);
  assert.ok(!isFault(chain));
  const key = keyOf(chain[0]!);
  assert.ok(!isFault(key));
  // rsa_pss_rsae_sha256, behind header, scheme and length.
  assert.ok(verifyTranscript(schemeOf(0x0804)!, key, 'server', transcript.digest(), verify.subarray(8)));
  assert.ok(!verifyTranscript(schemeOf(0x0804)!, key, 'client', transcript.digest(), verify.subarray(8)));
  add(transcript, verify);
  assert.equal(finishedData('sha256', server, transcript.digest()).toString('hex'), finished.toString('hex', 4));
  add(transcript, finished);
  assert.equal(finishedData('sha256', client, transcript.digest()).toString('hex'), trace.CLIENT_FINISHED);
  schedule.advance(null);
  assert.equal(schedule.derive('c ap traffic', transcript.digest()).toString('hex'), trace.CLIENT_APPLICATION);
  assert.equal(schedule.derive('s ap traffic', transcript.digest()).toString('hex'), trace.SERVER_APPLICATION);
});
