// Who is measured, each as it is started: Portico from its source, the peers with the settings that serve them best.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import type { Entrant, Scene, Server } from '../contest.ts';
import { freePort, locate, versionOf } from '../processes.ts';

const PORTICO = fileURLToPath(new URL('./portico.ts', import.meta.url));

/** Set by `--profile`: where Portico writes a CPU profile of each run. */
const PROFILES = process.env.BENCH_PROFILES;

/** Portico, reached by one of its URLs. Topics that are durable are on disk, others have no history and no disk. */
export function portico(
  url: string,
  config: Readonly<Record<string, unknown>> | ((scene: Scene) => Readonly<Record<string, unknown>>) = {},
): Entrant {
  return {
    name: 'portico',
    comesWith: 'this repository',
    find: () => `${packageJson.version} on Node ${process.version.slice(1)}`,
    async start(scene) {
      const settings = {
        storage: scene.policy === 'durable' ? 'sqlite' : 'memory',
        data: join(scene.folder, 'data'),
        topics: { history: [{ filter: '#', history: scene.policy }] },
        ...(typeof config === 'function' ? config(scene) : config),
      };
      const flags = PROFILES === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`];
      const { line, pid } = await scene.serve(process.execPath, [...flags, PORTICO, JSON.stringify(settings)], {
        line: true,
      });
      const urls = JSON.parse(line) as Record<string, string>;
      return { pid, speaks: url, port: Number(new URL(urls[url]!.replace(/^[a-z]+:/, 'http:')).port) };
    },
  };
}

/** A program with a port of its own choosing that it cannot tell us: it is given one that was free. */
async function onFreePort(
  scene: Scene,
  command: string,
  speaks: string,
  args: (port: number) => readonly string[],
): Promise<Omit<Server, 'name'>> {
  const port = await freePort();
  const { pid } = await scene.serve(command, args(port), { port });
  return { pid, port, speaks };
}

export const mosquitto: Entrant = {
  name: 'mosquitto',
  comesWith: 'mosquitto (Debian: mosquitto)',
  find: () => versionOf('mosquitto', '-h'),
  start: (scene) =>
    onFreePort(scene, 'mosquitto', 'mqtt', (port) => {
      const path = join(scene.folder, 'mosquitto.conf');
      // Without TCP_NODELAY it waits 40 ms for each acknowledgement of the kernel's when it has one message at a time.
      const rules = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'persistence false', 'log_type none'];
      writeFileSync(path, `${[...rules, 'set_tcp_nodelay true'].join('\n')}\n`);
      return ['-c', path];
    }),
};

export const nats: Entrant = {
  name: 'NATS JetStream',
  comesWith: 'nats-server (Debian: nats-server)',
  find: () => versionOf('nats-server', '--version'),
  start: (scene) =>
    onFreePort(scene, 'nats-server', 'nats', (port) => {
      return ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(scene.folder, 'jetstream')];
    }),
};

/** The folder that servers of files serve: `file` of 100 KB. */
export function publicFolder(scene: Scene): string {
  const folder = join(scene.folder, 'public');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'file'), 'x'.repeat(100_000));
  return folder;
}

export const nginx = nginxWith('', () => `return 200 "${'x'.repeat(64)}"`);

export const nginxFiles = nginxServing((scene) => `root ${publicFolder(scene)}`);

/** nginx with its settings for files: sendfile, and what it opened is kept. */
export function nginxServing(answer: (scene: Scene) => string): Entrant {
  return nginxWith('sendfile on; tcp_nopush on; open_file_cache max=1000; ', answer);
}

function nginxWith(settings: string, answer: (scene: Scene) => string): Entrant {
  return {
    name: 'nginx',
    comesWith: 'nginx (Debian: nginx-core)',
    find: () => versionOf('nginx', '-v'),
    start: (scene) =>
      onFreePort(scene, 'nginx', 'http', (port) => {
        const path = join(scene.folder, 'nginx.conf');
        const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => {
          mkdirSync(join(scene.folder, name));
          return `${name}_temp_path ${join(scene.folder, name)};`;
        });
        writeFileSync(
          path,
          `daemon off; master_process off; worker_processes 1; pid ${join(scene.folder, 'nginx.pid')}; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; ${settings}keepalive_requests 100000000; ${folders.join(' ')}
  server { listen 127.0.0.1:${port}; default_type text/plain; location / { ${answer(scene)}; } }
}
`,
        );
        return ['-c', path, '-p', scene.folder, '-e', 'stderr'];
      }),
  };
}

/** A server of a few lines on some package or runtime, in `peers/`: it prints its port. */
function script(
  name: string,
  file: string,
  comesWith: string,
  runtime: () => string | null,
  version: () => string | null,
) {
  return {
    name,
    comesWith,
    find: version,
    async start(scene: Scene) {
      const path = fileURLToPath(new URL(`../peers/${file}`, import.meta.url));
      const { line, pid } = await scene.serve(runtime()!, [path], { line: true });
      return { pid, speaks: 'http', port: Number(line) };
    },
  } satisfies Entrant;
}

const node = () => process.execPath;
const bunCommand = () => locate(process.env.BENCH_BUN ?? 'bun');

const versionOfWs = () => versionOfPackage('ws');

export function versionOfPackage(name: string, from: string | URL = import.meta.url): string | null {
  try {
    return (createRequire(from)(`${name}/package.json`) as { version: string }).version;
  } catch {
    return null;
  }
}

/** The folder that servers of files serve: `file` of 64 bytes. */
function smallFolder(scene: Scene): string {
  const folder = join(scene.folder, 'small');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'file'), 'x'.repeat(64));
  return folder;
}

export const h2o: Entrant = {
  name: 'h2o',
  comesWith: 'h2o (Debian: h2o)',
  find: () => versionOf('h2o', '--version'),
  start: (scene) =>
    onFreePort(scene, 'h2o', 'http', (port) => {
      const path = join(scene.folder, 'h2o.conf');
      const listen = `listen:\n  host: 127.0.0.1\n  port: ${port}\n`;
      const hosts = `hosts:\n  default:\n    paths:\n      /:\n        file.dir: ${smallFolder(scene)}\n`;
      // As root it would become somebody who may not read the folder.
      const user = `user: ${userInfo().username}\n`;
      writeFileSync(path, `num-threads: 1\n${user}http2-idle-timeout: 600\n${listen}${hosts}`);
      return ['-m', 'worker', '-c', path];
    }),
};

export const nghttpd: Entrant = {
  name: 'nghttpd',
  comesWith: 'nghttpd (Debian: nghttp2-server)',
  find: () => versionOf('nghttpd', '--version'),
  start: (scene) =>
    onFreePort(scene, 'nghttpd', 'http', (port) => {
      return ['-a', '127.0.0.1', '--no-tls', '-m', '100', '-d', smallFolder(scene), String(port)];
    }),
};

/** The folder of the servers of HTTP/3: `small` of 64 bytes, `ten` of 10 MB. */
export function webFolder(scene: Scene): string {
  const folder = join(scene.folder, 'web');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'small'), 'x'.repeat(64));
  writeFileSync(join(folder, 'ten'), Buffer.alloc(10_000_000, 'portico '));
  return folder;
}

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));

export const caddy: Entrant = {
  name: 'Caddy',
  comesWith: 'caddy (Debian: caddy)',
  find: () => versionOf('caddy', 'version'),
  start: (scene) =>
    onFreePort(scene, 'caddy', 'http3', (port) => {
      const path = join(scene.folder, 'Caddyfile');
      const global = '{\n  admin off\n  auto_https off\n}\n';
      const tls = `tls ${fixture('localhost.pem')} ${fixture('localhost.key')}`;
      const site = `bind 127.0.0.1\n  ${tls}\n  root * ${webFolder(scene)}\n  file_server`;
      writeFileSync(path, `${global}https://localhost:${port} {\n  ${site}\n}\n`);
      return ['run', '--config', path, '--adapter', 'caddyfile'];
    }),
};

export const ngtcp2: Entrant = {
  name: 'ngtcp2',
  comesWith: 'gtlsserver (Debian: ngtcp2-server)',
  find: () => (locate('gtlsserver') === null ? null : '0.12'),
  async start(scene) {
    const port = await freePort();
    // It says nothing when it listens, and a client asks again until it does.
    const files = [fixture('localhost.key'), fixture('localhost.pem')].join(' ');
    const run = `exec gtlsserver -q -d ${webFolder(scene)} 127.0.0.1 ${port} ${files}`;
    const { pid } = await scene.serve('sh', ['-c', `echo ready; PATH=$PATH:/usr/sbin ${run}`], { line: true });
    return { pid, port, speaks: 'http3' };
  },
};

export const nodeHttp = script('node:http', 'node-http.ts', 'Node', node, () => process.version.slice(1));
export const nodeHttp2 = script('node:http2', 'node-http2.ts', 'Node', node, () => process.version.slice(1));
export const nodeHttps = script('node:https', 'node-https.ts', 'Node', node, () => process.version.slice(1));
export const grpcJs = script('@grpc/grpc-js', 'grpc-js.ts', 'npm ci', node, () => versionOfPackage('@grpc/grpc-js'));
export const graphqlYoga = script(
  'graphql-yoga',
  'graphql-yoga.ts',
  'the npm package graphql-yoga; BENCH_PEERS names the folder that has it in node_modules',
  node,
  () => versionOfPackage('graphql-yoga', join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json')),
);
export const npmSoap = script('npm soap', 'soap.ts', 'the npm package soap (npm ci)', node, () =>
  versionOfPackage('soap'),
);
export const fastify = script(
  'Fastify',
  'fastify.ts',
  'the npm package fastify; BENCH_PEERS names the folder that has it in node_modules',
  node,
  () => versionOfPackage('fastify', join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json')),
);
export const ws = script('ws', 'ws.ts', 'the npm package ws (npm ci)', node, versionOfWs);
export const bun = script('Bun', 'bun.ts', 'the npm package bun; BENCH_BUN names the command', bunCommand, () =>
  bunCommand() === null ? null : versionOf(bunCommand()!, '--version'),
);
