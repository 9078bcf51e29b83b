// gRPC's public interoperability cases: python3-grpcio, which makes its types from what reflection answers, and @grpc/grpc-js.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descriptorSetBytes } from '../../src/formats/schema/descriptor.ts';
import { protoFiles } from '../../src/formats/schema/proto-files.ts';
import type { Portico } from '../../src/portico.ts';
import { reflectionSchema } from '../../src/protocols/grpc/server-reflection.ts';
import { FakeServices } from '../../src/protocols/grpc/testing/fake-services.ts';
import { serve } from '../../src/protocols/grpc/testing/serving.ts';
import { testService } from '../../src/protocols/grpc/testing/test-service.ts';
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
