// DNS: an authority over UDP beside Knot, BIND and npm's dns2, asked by dnsperf for the addresses of a thousand names: as fast as
// it goes, and at a rate that leaves everybody idle most of the time; and a resolver beside Unbound, for names that both have kept.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Entrant, Measured, Scene, Server, Workload } from '../contest.ts';
import { freePort, versionOf } from '../processes.ts';
import { portico } from '../servers/entrants.ts';

const NAMES = 1_000;
/** Queries a second where everybody has time. */
const LOW = 10_000;

function zoneOf(scene: Scene, names = NAMES): string {
  const path = join(scene.folder, 'bench.zone');
  const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  const hosts = Array.from({ length: names }, (_, index) => `h${index} A ${address(index)}`);
  writeFileSync(
    path,
    `$ORIGIN bench.example.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n${hosts.join('\n')}\n`,
  );
  return path;
}

function queriesOf(scene: Scene): string {
  const path = join(scene.folder, 'queries');
  const lines = Array.from({ length: NAMES }, (_, index) => `h${index}.bench.example A`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const ownOf = (names: number): Entrant =>
  portico('dns-udp', (scene) => ({
    dns: { zone: false, zones: [{ name: 'bench.example', file: zoneOf(scene, names) }] },
  }));

const own = ownOf(NAMES);

const knotOf = (names: number): Entrant => ({
  name: 'Knot',
  comesWith: 'knotd (Debian: knot)',
  find: () => versionOf('knotd', '-V'),
  async start(scene) {
    const port = await freePort();
    const path = join(scene.folder, 'knot.conf');
    zoneOf(scene, names);
    const text = `server:
  rundir: ${scene.folder}
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: ${scene.folder}
zone:
  - domain: bench.example
    storage: ${scene.folder}
    file: bench.zone
`;
    writeFileSync(path, text);
    const { pid } = await scene.serve('knotd', ['-c', path], { port });
    return { pid, port, speaks: 'dns' };
  },
});

const knot = knotOf(NAMES);

const bind: Entrant = {
  name: 'BIND',
  comesWith: 'named (Debian: bind9)',
  find: () => versionOf('named', '-v'),
  async start(scene) {
    const port = await freePort();
    const path = join(scene.folder, 'named.conf');
    mkdirSync(join(scene.folder, 'bind'));
    const folder = join(scene.folder, 'bind');
    const text = `options { directory "${folder}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
  pid-file "${folder}/pid"; session-keyfile "${folder}/session.key"; dnssec-validation no; };
controls { };
zone "bench.example" { type primary; file "${zoneOf(scene)}"; };
`;
    writeFileSync(path, text);
    const { pid } = await scene.serve('named', ['-f', '-c', path, '-n', '1'], { port });
    return { pid, port, speaks: 'dns' };
  },
};

const DNS2 = fileURLToPath(new URL('../peers/dns2.ts', import.meta.url));

const dns2: Entrant = {
  name: 'dns2',
  comesWith: 'dns2 (npm), in the folder that BENCH_PEERS names',
  find: () => dns2Version(),
  async start(scene) {
    const { pid, line } = await scene.serve(process.execPath, [DNS2, String(NAMES)], { line: true });
    return { pid, port: Number(line), speaks: 'dns' };
  },
};

/** The authority behind the resolvers, which is asked once for each name. */
async function behind(scene: Scene): Promise<number> {
  const { port } = await knot.start(scene);
  return port;
}

const ownResolver: Entrant = {
  ...own,
  async start(scene) {
    const port = await behind(scene);
    const forward = [{ zone: 'bench.example', to: [`127.0.0.1:${port}`] }];
    return portico('dns-udp', { dns: { zone: false, resolver: { validate: false, forward } } }).start(scene);
  },
};

const unbound: Entrant = {
  name: 'Unbound',
  comesWith: 'unbound (Debian: unbound)',
  find: () => versionOf('unbound', '-V'),
  async start(scene) {
    const authority = await behind(scene);
    const port = await freePort();
    const path = join(scene.folder, 'unbound.conf');
    const text = `server:
  interface: 127.0.0.1
  port: ${port}
  num-threads: 1
  do-not-query-localhost: no
  module-config: "iterator"
  chroot: ""
  username: ""
  directory: "${scene.folder}"
  pidfile: ""
  use-syslog: no
remote-control:
  control-enable: no
stub-zone:
  name: "bench.example"
  stub-addr: 127.0.0.1@${authority}
`;
    writeFileSync(path, text);
    const { pid } = await scene.serve('unbound', ['-d', '-c', path], { port });
    return { pid, port, speaks: 'dns' };
  },
};

function dns2Version(): string | null {
  try {
    const path = join(process.env.BENCH_PEERS ?? '', 'node_modules/dns2/package.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
  } catch {
    return null;
  }
}

/** What dnsperf says of a run, and what of a core the server needed for it. Queries that were lost are few, or the figure is none. */
async function perform(scene: Scene, { port, pid }: Server, more: readonly string[]): Promise<Measured> {
  const seconds = (ms: number) => String(Math.max(1, Math.round(ms / 1_000)));
  const args = ['-s', '127.0.0.1', '-p', String(port), '-d', queriesOf(scene), '-c', '8', ...more];
  await scene.ask('dnsperf', [...args, '-l', seconds(scene.timing.warmMs)]);
  const [before, began] = [usedBy(pid), performance.now()];
  const said = await scene.ask('dnsperf', [...args, '-l', seconds(scene.timing.runMs)]);
  const serverBusy = ((usedBy(pid) - before) * 1_000) / (performance.now() - began);
  const rate = /Queries per second:\s+([\d.]+)/.exec(said);
  const lost = /Queries lost:\s+\d+ \(([\d.]+)%\)/.exec(said);
  if (rate === null || lost === null || Number(lost[1]) > 1 || !/NOERROR [\d]+ \(100/.test(said))
    throw new Error(`dnsperf says: ${said}`);
  return { value: Number(rate[1]), loaded: { perSecond: Number(rate[1]), busy: null, serverBusy } };
}

/** Seconds of processor time that a process has used. */
function usedBy(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Waits until a server answers from its zone. */
async function answers(scene: Scene, port: number, name: string): Promise<void> {
  const args = ['@127.0.0.1', '-p', String(port), name, 'A', '+short', '+tries=1', '+timeout=1'];
  for (let tries = 0; tries < 600; tries++) {
    const said = await scene.ask('dig', args).catch(() => '');
    if (/^10\./.test(said)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} is not answered`);
}

/** Milliseconds since a process began. */
function ageOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  const up = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return up * 1_000 - Number(fields[19]) * 10;
}

const MILLION = 1_000_000;
const LAST = `h${MILLION - 1}.bench.example`;
const large = { policy: 'none', lessIsBetter: true, long: true, entrants: [ownOf(MILLION), knotOf(MILLION)] } as const;

const entrants = [own, knot, bind, dns2];

export const workloads: readonly Workload[] = [
  {
    name: 'authority over UDP, saturated',
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals: { Knot: { floor: 0.8, aim: 1.2 }, dns2: { floor: 4, aim: 4 } },
    measure: (scene, server) => perform(scene, server, ['-q', '200']),
  },
  {
    name: `authority over UDP, ${LOW.toLocaleString('en')} a second: queries a second of processor time`,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals: { Knot: { floor: 0.5, aim: 1 } },
    async measure(scene: Scene, server: Server): Promise<Measured> {
      const { value, loaded } = await perform(scene, server, ['-q', '200', '-Q', String(LOW)]);
      return { value: value / loaded!.serverBusy, loaded: null };
    },
  },
  {
    name: 'resolver over UDP, answers that it has kept, saturated',
    unit: 'req/s',
    policy: 'none',
    entrants: [ownResolver, unbound],
    goals: { Unbound: { floor: 0.8, aim: 1.2 } },
    measure: (scene, server) => perform(scene, server, ['-q', '200']),
  },
  {
    ...large,
    name: 'a zone of a million records: from the start of the program to its first answer',
    unit: 'ms',
    goals: { portico: { floor: 15_000, aim: 5_000 } },
    async measure(scene: Scene, { port, pid }: Server): Promise<Measured> {
      await answers(scene, port, LAST);
      return { value: ageOf(pid), loaded: null };
    },
  },
  {
    ...large,
    name: 'a zone of a million records: memory at the most',
    unit: 'bytes',
    goals: { portico: { floor: 1e9, aim: 4e8 } },
    async measure(scene: Scene, { port, pid }: Server): Promise<Measured> {
      await answers(scene, port, LAST);
      const most = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return { value: Number(most![1]) * 1_024, loaded: null };
    },
  },
];
