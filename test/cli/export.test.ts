// `portico export`: what it writes is taken by the tools of others.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSchema } from 'graphql';
import protobuf from 'protobufjs';
import { runCommand } from '../server-process.ts';

const TIMEOUT = { timeout: 30_000 };
const SERVICE = fileURLToPath(new URL('../../examples/orders/orders.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portico-export-'));
after(() => rmSync(folder, { recursive: true }));

async function exported(form: string, ...args: string[]): Promise<string> {
  const { code, output, errors } = await runCommand(['export', form, SERVICE, ...args]);
  assert.equal(code, 0, errors);
  return output;
}

/** Every reference leads somewhere. */
function checkRefs(document: unknown): number {
  let refs = 0;
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, each] of Object.entries(value)) {
      if (key === '$ref') {
        refs++;
        const steps = String(each).slice(2).split('/');
        const found = steps.reduce<unknown>(
          (at, step) => (at as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
          document,
        );
        assert.notEqual(found, undefined, String(each));
      } else walk(each);
    }
  };
  walk(document);
  return refs;
}

test('a .proto with what it imports, as protobufjs reads it', TIMEOUT, async () => {
  assert.match(await exported('proto'), /^service Orders \{$/m);
  const listed = await exported('proto', '--out', folder, '--topics', '--files');
  for (const path of listed.trim().split('\n')) assert.ok(existsSync(path), path);
  const root = new protobuf.Root();
  // Options need no declaration there.
  const isOwn = (target: string) => /^google\/(?:api|protobuf\/descriptor)/.test(target);
  root.resolvePath = (_origin, target) =>
    isOwn(target) ? null : existsSync(join(folder, target)) ? join(folder, target) : target;
  root.loadSync(join(folder, 'example/v1.proto'));
  root.loadSync(join(folder, 'portico/v1.proto'));
  root.resolveAll();
  assert.ok(root.lookupService('example.v1.Orders').methods.Watch?.responseStream);
  assert.ok(root.lookupService('portico.v1.Topics').methods.PublishMany?.requestStream);
  assert.ok(root.lookupService('portico.v1.Files').methods.Read?.responseStream);
});

test('GraphQL, as graphql-js reads it', TIMEOUT, async () => {
  const schema = buildSchema(await exported('graphql'));
  assert.ok(schema.getQueryType()?.getFields().ordersGet !== undefined);
  assert.ok(schema.getSubscriptionType()?.getFields().ordersWatch !== undefined);
});

test('WSDL, OpenAPI and AsyncAPI', TIMEOUT, async () => {
  assert.match(
    await exported('wsdl', '--url', 'https://shop.example'),
    /https:\/\/shop\.example\/soap\/example\.v1\.Orders/,
  );
  const openapi = JSON.parse(await exported('openapi', '--url', 'https://shop.example/')) as {
    servers: unknown;
    paths: object;
  };
  assert.deepEqual(openapi.servers, [{ url: 'https://shop.example' }]);
  assert.ok(checkRefs(openapi) > 4);
  const asyncapi = JSON.parse(await exported('asyncapi', '--url', 'https://shop.example')) as {
    asyncapi: string;
    servers: unknown;
    channels: Record<string, { address: string | null }>;
    operations: object;
  };
  assert.equal(asyncapi.asyncapi, '3.0.0');
  assert.deepEqual(asyncapi.servers, {
    mqtt: { host: 'shop.example:8883', protocol: 'secure-mqtt' },
    websocket: { host: 'shop.example', protocol: 'wss' },
  });
  assert.equal(asyncapi.channels['example.v1.Orders.Place']?.address, 'services/example.v1.Orders/Place');
  assert.ok(checkRefs(asyncapi) > 20);
});

test('what cannot be written is a mistake of the command line', TIMEOUT, async () => {
  assert.equal((await runCommand(['export', 'thrift', SERVICE])).code, 64);
  assert.equal((await runCommand(['export', 'wsdl', SERVICE, '--topics'])).code, 64);
  assert.equal((await runCommand(['export', 'openapi', SERVICE, '--url', 'here'])).code, 64);
  assert.equal((await runCommand(['export', 'openapi', join(folder, 'none.ts')])).code, 78);
});
