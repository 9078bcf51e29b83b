// The tree of files: GETs of files by HTTP beside nginx, and one large file down and up by SFTP, with OpenSSH's client, beside
// ssh2's own SFTP server and OpenSSH's. The files lie in memory, where making them durable costs nothing.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Entrant, Measured, Scene, Server, Workload } from '../contest.ts';
import { freePort, versionOf } from '../processes.ts';
import { nginxServing, portico, versionOfPackage } from '../servers/entrants.ts';

const MEMORY = '/dev/shm';
const PIECE = Buffer.alloc(1_048_576, 'the quick brown fox jumps over the lazy dog\n');
const SSH2 = fileURLToPath(new URL('../peers/ssh2-sftp.ts', import.meta.url));

const piecesOf = (scene: Scene) => (scene.timing.runMs < 1_000 ? 32 : 512);

const places = new Map<string, string>();
process.on('exit', () => {
  for (const place of places.values()) rmSync(place, { recursive: true, force: true });
});

/** Where the files of a scene lie: one of 100 KB, one of 10 MB, a large one, and `in` for what comes. */
function placeOf(scene: Scene): string {
  const known = places.get(scene.folder);
  if (known !== undefined) return known;
  const place = mkdtempSync(join(MEMORY, 'portico-bench-'));
  places.set(scene.folder, place);
  const shared = join(place, 'shared');
  mkdirSync(join(shared, 'in'), { recursive: true });
  writeFileSync(join(shared, '100k'), PIECE.subarray(0, 100_000));
  writeFileSync(join(shared, '10m'), Buffer.alloc(10_000_000, 'x'));
  const large = openSync(join(shared, 'large'), 'w');
  for (let count = 0; count < piecesOf(scene); count++) writeSync(large, PIECE);
  closeSync(large);
  return place;
}

const config = (scene: Scene) => ({ files: { folder: placeOf(scene), folders: [] } });
/** It has the files under their own names. */
const nginx = nginxServing((scene) => `root ${placeOf(scene)}; rewrite ^/files/(.*)$ /$1 break`);

function get(name: string, path: string, credit: number): Workload {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants: [portico('http', config), nginx],
    goals: { [nginx.name]: { floor: 0.8, aim: 1 } },
    measure: (scene, { port }) => scene.load('http', { port, path, subs: 0, pubs: 64, credit }),
  };
}

/** OpenSSH's own server, of whoever runs the bench. */
const sshd: Entrant = {
  name: 'OpenSSH',
  comesWith: 'sshd (Debian: openssh-server)',
  find: () => (existsSync('/usr/sbin/sshd') ? versionOf('ssh', '-V') : null),
  async start(scene) {
    const port = await freePort();
    const at = (name: string) => join(scene.folder, name);
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')]);
    const rules = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${at('host')}`,
      `AuthorizedKeysFile ${keyOf(scene)}.pub`,
      `PidFile ${at('sshd.pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'Subsystem sftp internal-sftp',
    ];
    writeFileSync(at('sshd.conf'), `${rules.join('\n')}\n`);
    mkdirSync('/run/sshd', { recursive: true });
    const { pid } = await scene.serve('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd.conf')], { port });
    return { pid, port, speaks: 'sftp' };
  },
};

const ssh2: Entrant = {
  name: 'ssh2',
  comesWith: 'the npm package ssh2 (npm ci)',
  find: () => versionOfPackage('ssh2'),
  async start(scene) {
    const { pid, line } = await scene.serve(process.execPath, [SSH2, placeOf(scene)], { line: true });
    return { pid, port: Number(line), speaks: 'sftp' };
  },
};

/** The client's key. */
function keyOf(scene: Scene): string {
  const path = join(scene.folder, 'client');
  if (!existsSync(path)) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  return path;
}

/** How long sftp took, in seconds, with one cipher for all. */
async function sftp(scene: Scene, { name, port }: Server, order: string): Promise<number> {
  const batch = join(scene.folder, 'batch');
  // OpenSSH's server knows the paths of the machine.
  writeFileSync(batch, `${order.replaceAll('TREE:', name === sshd.name ? `${placeOf(scene)}/` : '/')}\n`);
  const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'IdentitiesOnly=yes'];
  const given = settings.flatMap((setting) => ['-o', setting]);
  const began = performance.now();
  await scene.ask('sftp', [
    ...['-q', '-b', batch, '-P', String(port), '-i', keyOf(scene), '-c', 'aes128-gcm@openssh.com'],
    ...[...given, '127.0.0.1'],
  ]);
  return (performance.now() - began) / 1_000;
}

function transfer(name: string, order: (scene: Scene) => string): Workload {
  return {
    name,
    unit: 'MB/s',
    policy: 'none',
    entrants: [portico('sftp', config), ssh2, sshd],
    goals: { [ssh2.name]: { floor: 1.5, aim: 1.5 }, [sshd.name]: { floor: 0, aim: 1 } },
    async measure(scene: Scene, server: Server): Promise<Measured> {
      // What runs for the first time is compiled while it runs, and the file is read into memory.
      await sftp(scene, server, order(scene));
      const seconds = await sftp(scene, server, order(scene));
      return { value: (piecesOf(scene) * PIECE.length) / 1e6 / seconds, loaded: null };
    },
  };
}

export const workloads: readonly Workload[] = [
  get('GET of a file, 100 KB, 64 connections', '/files/shared/100k', 1),
  get('GET of a file, 10 MB, 64 connections', '/files/shared/10m', 1),
  transfer('512 MB down by SFTP', () => 'get TREE:shared/large /dev/null'),
  transfer('512 MB up by SFTP', (scene) => `put ${join(placeOf(scene), 'shared', 'large')} TREE:shared/in/large`),
];
