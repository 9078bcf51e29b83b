// `portico status` says what runs on a data folder; nothing there is an exit code of its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { runCommand, startServer } from '../server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-status-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('it says what listens, who is connected and what was published; and that nothing runs', {
  timeout: 40_000,
}, async () => {
  const data = join(folder, 'data');
  await using server = await startServer(['--data', data, '--port', 'http1=0', 'mqtt=0', 'lines=0']);
  await fetch(`${server.urls.http}/topics/a`, { method: 'PUT', body: '1' });
  const { hostname, port } = new URL(server.urls.http!);
  const held = connect(Number(port), hostname);
  await once(held, 'connect');
  const json = await runCommand(['status', '--data', data, '--json']);
  assert.equal(json.code, EXIT.ok, json.errors);
  const status = JSON.parse(json.output) as {
    pid: number;
    data: string;
    protocols: Record<string, number>;
    topics: { published: number; retained: number };
    listening: unknown[];
  };
  assert.equal(status.pid, server.process.pid);
  assert.equal(status.data, data);
  assert.ok(status.protocols.http1! >= 1);
  assert.equal(status.topics.published, 1);
  assert.equal(status.listening.length, server.ready.listening.length);
  const text = await runCommand(['status', '--data', data], '', { environment: { NO_COLOR: '1' } });
  assert.match(text.output, new RegExp(`^Portico [\\d.]+ runs as process ${server.process.pid}, for `));
  assert.ok(text.output.includes(server.urls.http!));
  held.destroy();
  assert.equal(await server.stop(), 0);
  const none = await runCommand(['status', '--data', data]);
  assert.equal(none.code, EXIT.unavailable);
  assert.match(none.errors, /no server runs here/);
});
