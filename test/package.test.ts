// The package as somebody else has it: built, packed, unpacked into a folder without types to strip, checked by TypeScript,
// and run by the Node that is installed.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Portico } from '../src/portico.ts';
import { run } from './clients.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODULES = join(ROOT, 'node_modules');
const TSC = join(MODULES, 'typescript/bin/tsc');

const PROGRAM = `
import { ConnectionError, HttpClient, type FetchOptions } from 'portico/http';
import { connect as connectLines, type LinesConnection } from 'portico/lines';
import { connect as connectMqtt, type Message, RefusedError } from 'portico/mqtt';
import { connect as connectEvents, type ServerEvent } from 'portico/sse';
import { connect as connectSocket, connectTopics } from 'portico/websocket';

const urls = JSON.parse(process.argv[2]!) as Record<string, string>;
const said: string[] = [];

const mqtt = await connectMqtt(urls.mqtt!, { clientId: 'packed' });
const lines: LinesConnection = await connectLines(urls.lines!);
const topics = await connectTopics(urls.ws!);
await mqtt.subscribe('pack/#', { qos: 1 });
await lines.publish('pack/a', 'one', { retain: true });
const cursor: number | null = await topics.publish('pack/b', new Uint8Array([116, 119, 111]));
for await (const message of mqtt) {
  const { topic, payload }: Message = message;
  said.push(\`\${topic} \${payload.toString()}\`);
  if (said.length === 2) break;
}
said.push(\`cursor \${cursor! > 0}\`);
said.push(String((await lines.last('pack/a'))?.payload));

const http = new HttpClient({ limits: { originConnectionsMax: 2 } });
const options: FetchOptions = { method: 'PUT', body: 'three', headers: { 'content-type': 'text/plain' } };
said.push(String((await http.fetch(\`\${urls.http}/topics/pack/c\`, options)).status));
said.push(await (await http.fetch(\`\${urls.http}/topics/pack/c\`)).text());

const events = await connectEvents(\`\${urls.http}/topics/pack/%23?after=0\`);
for await (const event of events) {
  const { data }: ServerEvent = event;
  said.push(\`event \${data}\`);
  if (data === 'three') break;
}

const socket = await connectSocket(\`\${urls.ws}/topics/pack/a?echo=true\`);
await socket.send('four');
for await (const frame of socket) {
  said.push(\`frame \${frame}\`);
  if (frame === 'four') break;
}
await socket.close();

await mqtt.publish('$SYS/x', '').catch((error: unknown) => said.push(String(error instanceof RefusedError)));
await http.fetch('http://127.0.0.1:1/').catch((error: unknown) => said.push(String(error instanceof ConnectionError)));
await Promise.all([mqtt.close(), lines.close(), topics.close()]);
http.close();
console.log(JSON.stringify(said));
`;

const CONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    outDir: 'out',
    types: ['node'],
    lib: ['es2023', 'esnext.disposable'],
  },
  files: ['program.ts'],
};

/** The Node that is installed, not the one that this project brings: Node does not strip types below node_modules. */
function plainNode(): string {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.map((folder) => join(folder, 'node')).find((path) => existsSync(path)) ?? process.execPath;
}

let portico: Portico;
let folder = '';

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  folder = mkdtempSync(join(tmpdir(), 'portico-package-'));
});

after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true });
});

test('a program uses each export of the packed package under plain Node', { timeout: 180_000 }, async () => {
  const source = join(folder, 'source');
  mkdirSync(source);
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'bin', 'docs'])
    cpSync(join(ROOT, name), join(source, name), { recursive: true });
  const built = await run(
    process.execPath,
    TSC,
    '-p',
    join(ROOT, 'tsconfig.build.json'),
    '--outDir',
    join(source, 'dist'),
  );
  assert.equal(built.code, 0, built.out);
  const packed = await run('npm', 'pack', '--ignore-scripts', '--pack-destination', folder, source);
  assert.equal(packed.code, 0, packed.error);
  const program = join(folder, 'program');
  const modules = join(program, 'node_modules');
  mkdirSync(modules, { recursive: true });
  const unpacked = await run('tar', '-xzf', join(folder, packed.out.trim().split('\n').at(-1)!), '-C', modules);
  assert.equal(unpacked.code, 0, unpacked.error);
  // A registry is nothing that a test should need: what the package depends on is there already.
  await run('mv', join(modules, 'package'), join(modules, 'portico'));
  for (const name of ['commander', 'zod', '@types', 'undici-types'])
    if (existsSync(join(MODULES, name))) symlinkSync(join(MODULES, name), join(modules, name));
  writeFileSync(join(program, 'program.ts'), PROGRAM);
  writeFileSync(join(program, 'tsconfig.json'), JSON.stringify(CONFIG));
  writeFileSync(join(program, 'package.json'), JSON.stringify({ type: 'module', private: true }));

  const checked = await run(process.execPath, TSC, '-p', program);
  assert.equal(checked.code, 0, checked.out);
  const ran = await run(plainNode(), join(program, 'out/program.js'), JSON.stringify(portico.urls));
  assert.equal(ran.code, 0, ran.error);
  assert.deepEqual(JSON.parse(ran.out), [
    'pack/a one',
    'pack/b two',
    'cursor true',
    'one',
    '201',
    'three',
    'event one',
    'event two',
    'event three',
    'frame one',
    'frame four',
    'true',
    'true',
  ]);
});
