// gRPC's public interoperability cases: python3-grpcio, which makes its types from what reflection answers, and frames of our own where
// it does not show what came.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { descriptorSetBytes } from '../../src/formats/schema/descriptor.ts';
import { protoFiles } from '../../src/formats/schema/proto-files.ts';
import { protobufOf } from '../../src/formats/schema/protobuf.ts';
import { messageOf } from '../../src/formats/schema/protobuf-google.ts';
import type { Portico } from '../../src/portico.ts';
import { reflectionSchema } from '../../src/protocols/grpc/server-reflection.ts';
import { FakeServices } from '../../src/protocols/grpc/testing/fake-services.ts';
import { serve } from '../../src/protocols/grpc/testing/serving.ts';
import { framed } from '../../src/protocols/grpc/testing/stage.ts';
import { SCHEMA, testService } from '../../src/protocols/grpc/testing/test-service.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { Program, until } from '../clients.ts';

const PYTHON = '/usr/bin/python3';
const CASES = fileURLToPath(new URL('grpc_cases.py', import.meta.url));
const found = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']).status === 0;
const skip = found || process.env.CI === 'true' ? false : 'python3-grpcio is not installed';

const services = new FakeServices(shopService() as never);
services.add(testService());
let portico: Portico;
let folder = '';

before(async () => {
  portico = await serve(services);
  folder = mkdtempSync(join(tmpdir(), 'portico-grpc-'));
});
after(async () => {
  rmSync(folder, { recursive: true });
  await portico.close();
});

/** The client's own description of reflection, without which it could not ask. */
function reflectionFile(): Buffer {
  const types = new Map([...reflectionSchema('v1').types, ...reflectionSchema('v1alpha').types]);
  const files = protoFiles([{ name: 'grpc.reflection.Any', description: '', schema: { types }, methods: new Map() }]);
  return descriptorSetBytes(files.filter(({ types }) => types.length > 0).map((file) => ({ ...file, services: [] })));
}

test('the cases by python3-grpcio', { skip, timeout: 90_000 }, async () => {
  const path = join(folder, 'reflection');
  writeFileSync(path, reflectionFile());
  const python = new Program(PYTHON, [CASES, new URL(portico.urls.http!).host, path]);
  const { out, error } = await python.done;
  const lines = out.trim().split('\n');
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('ok ')),
    [],
    error,
  );
  assert.equal(lines.length, 18, out + error);
  await until(() => services.open === 0, 'the end of all handlers');
});

// ---- what grpcio's own surface does not show: the flag of each message -----------------------------------------------

interface Seen {
  /** Flags and length of each message. */
  readonly messages: readonly { readonly flags: number; readonly length: number }[];
  readonly status: string;
  readonly encoding: string;
}

/** Sends messages as they are, and tells what came. */
function raw(path: string, frames: readonly Buffer[], fields: Record<string, string>): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const session = connect(portico.urls.http!);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/grpc.testing.TestService/${path}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...fields,
    });
    const pieces: Buffer[] = [];
    let head: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    stream.on('response', (given) => {
      head = given;
    });
    stream.on('trailers', (given) => {
      trailers = given;
    });
    stream.on('data', (data: Buffer) => pieces.push(data));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      const body = Buffer.concat(pieces);
      const messages = [];
      for (let at = 0; at < body.length; at += 5 + body.readUInt32BE(at + 1))
        messages.push({ flags: body[at]!, length: body.readUInt32BE(at + 1) });
      const status = String(trailers['grpc-status'] ?? head['grpc-status']);
      resolve({ messages, status, encoding: String(head['grpc-encoding'] ?? '') });
    });
    for (const frame of frames) stream.write(frame);
    stream.end();
  });
}

function message(type: string, value: unknown, compressed: boolean): Buffer {
  const plain = protobufOf(SCHEMA, messageOf(SCHEMA, `grpc.testing.${type}`)).bytesOf(value);
  return compressed ? framed(gzipSync(plain), 1) : framed(plain);
}

const GZIP = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' };
const LARGE = { responseSize: 314_159, payload: { type: 'COMPRESSABLE', body: new Uint8Array(271_828) } };

test('client_compressed_unary and server_compressed_unary: each message says for itself', async () => {
  const zipped = await raw('UnaryCall', [message('SimpleRequest', LARGE, true)], GZIP);
  assert.deepEqual([zipped.status, zipped.encoding, zipped.messages[0]!.flags], ['0', 'gzip', 1]);
  assert.ok(zipped.messages[0]!.length < 10_000);
  const plain = await raw('UnaryCall', [message('SimpleRequest', LARGE, false)], GZIP);
  assert.deepEqual([plain.status, plain.messages[0]!.flags], ['0', 1], 'the call is, though this message is not');
  const neither = await raw('UnaryCall', [message('SimpleRequest', LARGE, false)], { 'grpc-accept-encoding': 'gzip' });
  assert.deepEqual([neither.status, neither.encoding, neither.messages[0]!.flags], ['0', '', 0]);
  assert.ok(neither.messages[0]!.length > 314_159);
  const untold = await raw('UnaryCall', [message('SimpleRequest', LARGE, false)], { 'grpc-encoding': 'gzip' });
  assert.deepEqual([untold.status, untold.messages[0]!.flags], ['0', 0], 'who does not take it gets none');
});

test('client_compressed_streaming and server_compressed_streaming', async () => {
  const body = (size: number) => ({ payload: { type: 'COMPRESSABLE', body: new Uint8Array(size) } });
  const sent = [
    message('StreamingInputCallRequest', body(27_182), true),
    message('StreamingInputCallRequest', body(45_904), false),
  ];
  const taken = await raw('StreamingInputCall', sent, GZIP);
  assert.deepEqual([taken.status, taken.messages.length], ['0', 1]);
  const asked = { responseParameters: [{ size: 31_415 }, { size: 92 }] };
  const given = await raw('StreamingOutputCall', [message('StreamingOutputCallRequest', asked, true)], GZIP);
  // What is too short to gain by it goes as it is.
  assert.deepEqual([given.status, given.messages.map(({ flags }) => flags)], ['0', [1, 0]]);
});
