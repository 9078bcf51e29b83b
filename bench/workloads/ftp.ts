// FTP: one large file down and up, and a thousand small ones on one control connection, with curl beside vsftpd. The files lie
// in memory, where making them durable costs nothing, and for `durable` on the disk: there Portico waits for it, and vsftpd
// never does.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entrant, Measured, Scene, Server, Workload } from '../contest.ts';
import { freePort, versionOf } from '../processes.ts';
import { portico } from '../servers/entrants.ts';

const MEMORY = '/dev/shm';
const PIECE = Buffer.alloc(1_048_576, 'the quick brown fox jumps over the lazy dog\n');
const FILES = 1_000;
const SMALL = 10_240;

/** A quick look takes less of everything. */
const isQuick = (scene: Scene) => scene.timing.runMs < 1_000;
const largeOf = (scene: Scene) => (isQuick(scene) ? 64 : 1_024) * PIECE.length;
const filesOf = (scene: Scene) => (isQuick(scene) ? 100 : FILES);

const places = new Map<string, string>();
process.on('exit', () => {
  for (const place of places.values()) rmSync(place, { recursive: true, force: true });
});

/** Where the files lie, for all who serve them: `large`, `small`, and folders for what comes. */
function placeOf(scene: Scene): string {
  const kind = `${scene.policy} ${largeOf(scene)}`;
  const known = places.get(kind);
  if (known !== undefined) return known;
  const place = mkdtempSync(join(scene.policy === 'durable' ? tmpdir() : MEMORY, 'portico-bench-'));
  places.set(kind, place);
  // Its user is another than ours.
  chmodSync(place, 0o755);
  // What one of them wrote is not the other's to write over.
  for (const name of ['in', 'theirs']) mkdirSync(join(place, name));
  mkdirSync(join(place, 'small'));
  const large = openSync(join(place, 'large'), 'w');
  for (let at = 0; at < largeOf(scene); at += PIECE.length) writeSync(large, PIECE);
  closeSync(large);
  for (let number = 0; number < filesOf(scene); number++)
    writeFileSync(join(place, 'small', `f${number}`), PIECE.subarray(0, SMALL));
  return place;
}

const own: Entrant = {
  ...portico('ftp', (scene) => ({ files: { folder: placeOf(scene), folders: [] }, ftp: { anonymous: false } })),
};

const vsftpd: Entrant = {
  name: 'vsftpd',
  comesWith: 'vsftpd (Debian: vsftpd)',
  find: () => versionOf('vsftpd', '-v'),
  async start(scene) {
    const place = placeOf(scene);
    const port = await freePort();
    const isRoot = process.getuid?.() === 0;
    const empty = join(scene.folder, 'empty');
    mkdirSync(empty);
    // It gives its rights up to this user, who must not own the root.
    if (isRoot)
      chownSync(join(place, 'theirs'), Number(spawnSync('id', ['-u', 'ftp'], { encoding: 'utf8' }).stdout), 0);
    const rules = {
      listen: 'YES',
      listen_address: '127.0.0.1',
      listen_port: port,
      background: 'NO',
      run_as_launching_user: isRoot ? 'NO' : 'YES',
      anonymous_enable: 'YES',
      no_anon_password: 'YES',
      anon_root: place,
      write_enable: 'YES',
      anon_upload_enable: 'YES',
      anon_other_write_enable: 'YES',
      seccomp_sandbox: 'NO',
      xferlog_enable: 'NO',
      secure_chroot_dir: empty,
    };
    const path = join(scene.folder, 'vsftpd.conf');
    writeFileSync(
      path,
      `${Object.entries(rules)
        .map(([name, value]) => `${name}=${value}\n`)
        .join('')}`,
    );
    const { pid } = await scene.serve('vsftpd', [path], { port });
    return { pid, port, speaks: 'ftp' };
  },
};

const entrants = [own, vsftpd];

/** How long curl took, in seconds, for all that it was told. */
async function curl(scene: Scene, { name, port }: Server, args: readonly string[]): Promise<number> {
  const into = name === vsftpd.name ? 'theirs' : 'in';
  const given = args.map((arg) => arg.replace('FTP:in', `FTP:${into}`).replace('FTP:', `ftp://127.0.0.1:${port}//`));
  const always = ['-sS', '--fail', '-u', 'anonymous:bench'];
  const began = performance.now();
  await scene.ask('curl', [...always, ...given]);
  return (performance.now() - began) / 1_000;
}

function workload(
  name: string,
  unit: Workload['unit'],
  policy: Workload['policy'],
  goal: { readonly floor: number; readonly aim: number } | null,
  args: (scene: Scene) => readonly string[],
  amount: (scene: Scene) => number,
): Workload {
  return {
    name,
    unit,
    policy,
    entrants,
    goals: goal === null ? {} : { vsftpd: goal },
    async measure(scene: Scene, server: Server): Promise<Measured> {
      // What runs for the first time is compiled while it runs, and the file is read into memory.
      await curl(scene, server, args(scene));
      const seconds = await curl(scene, server, args(scene));
      return { value: amount(scene) / seconds, loaded: null };
    },
  };
}

const large = (scene: Scene) => largeOf(scene) / 1e6;
const down = () => ['FTP:large', '-o', '/dev/null'];
const up = (scene: Scene) => ['-T', join(placeOf(scene), 'large'), 'FTP:in/large'];
const manyDown = (scene: Scene) => [`FTP:small/f[0-${filesOf(scene) - 1}]`, '-o', '/dev/null'];
const manyUp = (scene: Scene) => ['-T', join(placeOf(scene), 'small', `f[0-${filesOf(scene) - 1}]`), 'FTP:in/'];

export const workloads: readonly Workload[] = [
  workload('1 GB down', 'MB/s', 'none', { floor: 0.9, aim: 1 }, down, large),
  workload('1 GB up', 'MB/s', 'none', { floor: 0.9, aim: 1 }, up, large),
  workload('1 GB up, on the disk', 'MB/s', 'durable', null, up, large),
  workload('files of 10 KB down, one by one', 'files/s', 'none', { floor: 0.8, aim: 1 }, manyDown, filesOf),
  workload('files of 10 KB up, one by one', 'files/s', 'none', { floor: 0.8, aim: 1 }, manyUp, filesOf),
  workload('files of 10 KB up, on the disk', 'files/s', 'durable', null, manyUp, filesOf),
];
