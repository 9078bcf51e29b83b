// The recipes of docs/operations.md: the unit is one that systemd takes, and the Containerfile copies what there is, exposes
// what listens, and asks for a health that exists.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROTOCOLS } from '../../src/protocols.ts';
import { REGISTRY_LIMITS } from '../../src/server/registry.ts';
import { missing, run } from '../clients.ts';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/operations.md', root), 'utf8');

/** The first block of a language on the page. */
function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1];
  assert.ok(found !== undefined, language);
  return found;
}

test('systemd takes the unit', { skip: missing('systemd-analyze', '--version'), timeout: 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-unit-'));
  try {
    const unit = join(folder, 'portico.service');
    // What it starts must be there for the check.
    writeFileSync(unit, block('ini').replace('/usr/local/bin/portico', process.execPath));
    const { code, out, error } = await run('systemd-analyze', 'verify', unit);
    assert.deepEqual([code, out, error.split('\n').filter((line) => line.includes('portico'))], [0, '', []]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the unit and the container give it the time that it takes to leave', () => {
  const unit = Number(/^TimeoutStopSec=(\d+)$/m.exec(block('ini'))?.[1]);
  const container = Number(/--stop-timeout (\d+)/.exec(page)?.[1]);
  const { leaveMs, noticeMs } = REGISTRY_LIMITS;
  for (const seconds of [unit, container]) assert.ok(seconds * 1_000 > leaveMs + noticeMs, String(seconds));
});

test('the Containerfile copies what there is, and exposes what listens', () => {
  const lines = block('dockerfile').split('\n');
  const copied = lines.flatMap((line) => /^COPY (?!--)(.*) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
  assert.deepEqual(copied, ['package.json', 'package-lock.json', 'bin', 'src']);
  for (const name of copied) assert.ok(existsSync(new URL(name, root)), name);
  const exposed = lines
    .find((line) => line.startsWith('EXPOSE '))!
    .split(' ')
    .slice(1);
  const listens = PROTOCOLS.flatMap((protocol) =>
    protocol.listens.flatMap((each) => {
      if (each.on === 'tcp' || each.on === 'tls') return [String(each.port)];
      return (each.on === 'udp' || each.on === 'quic') && each.port !== undefined ? [`${each.port}/udp`] : [];
    }),
  );
  assert.deepEqual(new Set(exposed), new Set(listens));
  const health = /"(http:\/\/127\.0\.0\.1:(\d+)\/healthz)"/.exec(block('dockerfile'))!;
  assert.ok(listens.includes(health[2]!));
  assert.ok(lines.includes('USER node') && lines.includes('STOPSIGNAL SIGTERM') && lines.includes('VOLUME /data'));
});
