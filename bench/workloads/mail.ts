// Mail: receiving by SMTP beside Postfix, which delivers to Maildir, and npm smtp-server, which stores nothing; reading by IMAP
// beside Dovecot with Maildir; opening a large mailbox; and what a connection in IDLE takes.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Entrant, Loaded, Measured, Scene, Server, Workload } from '../contest.ts';
import { freePort, versionOf } from '../processes.ts';
import { portico, versionOfPackage } from '../servers/entrants.ts';

const LOAD = fileURLToPath(new URL('../load/mail.ts', import.meta.url));
const PEER = fileURLToPath(new URL('../peers/smtp-server.ts', import.meta.url));
const isQuick = ({ timing }: Scene) => timing.runMs < 1_000;
const isRoot = process.getuid?.() === 0;
/** `nobody`: these servers do not deliver as root. */
const NOBODY = 65_534;

const deliver = { mail: { mode: 'catch' } };
const own = (url: string) => portico(url, deliver);

async function load<Value>(scene: Scene, { port, pid }: Pick<Server, 'port' | 'pid'>, args: readonly string[]) {
  const given = ['--port', String(port), '--watch', String(pid), ...args];
  return JSON.parse(await scene.ask(process.execPath, [LOAD, ...given])) as Value;
}

// ---- SMTP ------------------------------------------------------------------------------------------------------------------

const postfix: Entrant = {
  name: 'Postfix',
  comesWith: 'postfix (Debian: postfix), as root',
  find: () => (isRoot && existsSync('/usr/sbin/postfix') ? versionOf('/usr/sbin/postconf', 'mail_version') : null),
  async start(scene) {
    const port = await freePort();
    const at = (name: string) => join(scene.folder, name);
    for (const name of ['etc', 'queue', 'data', 'mail']) mkdirSync(at(name));
    // Its daemons are other users, and deliver as nobody.
    for (const folder of [join(scene.folder, '..'), scene.folder]) chmodSync(folder, 0o755);
    chownSync(at('mail'), NOBODY, NOBODY);
    chownSync(at('data'), Number(spawnSync('id', ['-u', 'postfix'], { encoding: 'utf8' }).stdout), 0);
    const settings = {
      compatibility_level: '3.6',
      queue_directory: at('queue'),
      data_directory: at('data'),
      myhostname: 'bench.example.org',
      mydestination: '',
      inet_interfaces: '127.0.0.1',
      virtual_mailbox_domains: 'example.org',
      virtual_mailbox_base: at('mail'),
      virtual_mailbox_maps: 'static:ann/',
      virtual_uid_maps: `static:${NOBODY}`,
      virtual_gid_maps: `static:${NOBODY}`,
      virtual_mailbox_limit: '0',
      smtpd_recipient_restrictions: 'permit',
      smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
      smtpd_client_connection_rate_limit: '0',
      maillog_file: at('log'),
      maillog_file_prefixes: scene.folder,
      alias_maps: '',
    };
    writeFileSync(
      at('etc/main.cf'),
      Object.entries(settings)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join(''),
    );
    const services = [
      `127.0.0.1:${port} inet n - n - 100 smtpd`,
      'cleanup unix n - n - 0 cleanup',
      'qmgr unix n - n 300 1 qmgr',
      'rewrite unix - - n - - trivial-rewrite',
      'bounce unix - - n - 0 bounce',
      'defer unix - - n - 0 bounce',
      'virtual unix - n n - 20 virtual',
      'error unix - - n - - error',
      'retry unix - - n - - error',
      'anvil unix - - n - 1 anvil',
      'postlog unix-dgram n - n - 1 postlogd',
      'proxymap unix - - n - - proxymap',
      'showq unix n - n - - showq',
      'flush unix n - n 1000? 0 flush',
      'scache unix - - n - 1 scache',
    ];
    writeFileSync(at('etc/master.cf'), `${services.join('\n')}\n`);
    // It makes the queue; what is started then is the one process that ends all others with it.
    spawnSync('/usr/sbin/postfix', ['-c', at('etc'), 'check']);
    const { pid } = await scene.serve('/usr/lib/postfix/sbin/master', ['-c', at('etc'), '-d'], { port });
    return { pid, port, speaks: 'smtp' };
  },
};

const smtpServer: Entrant = {
  name: 'npm smtp-server',
  comesWith: 'the npm package smtp-server; BENCH_PEERS names the folder that has it in node_modules',
  find: () => versionOfPackage('smtp-server', join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json')),
  async start(scene) {
    const { line, pid } = await scene.serve(process.execPath, [PEER], { line: true });
    return { pid, port: Number(line), speaks: 'smtp' };
  },
};

const receiving: Workload = {
  name: 'SMTP, 20 connections, 2 KB, on disk before 250',
  unit: 'msg/s',
  policy: 'durable',
  entrants: [own('smtp'), postfix, smtpServer],
  goals: { [postfix.name]: { floor: 4, aim: 8 }, [smtpServer.name]: { floor: 1.2, aim: 2 } },
  async measure(scene, server): Promise<Measured> {
    const { warmMs, runMs } = scene.timing;
    const loaded = await load<Loaded>(scene, server, ['smtp', '--warm', String(warmMs), '--run', String(runMs)]);
    // Postfix is many processes, of which only one is looked at.
    return { value: loaded.perSecond, loaded: server.name === postfix.name ? null : loaded };
  },
};

// ---- IMAP ------------------------------------------------------------------------------------------------------------------

const dovecot: Entrant = {
  name: 'Dovecot',
  comesWith: 'dovecot (Debian: dovecot-imapd)',
  find: () => (existsSync('/usr/sbin/dovecot') ? versionOf('/usr/sbin/dovecot', '--version') : null),
  async start(scene) {
    const port = await freePort();
    const at = (name: string) => join(scene.folder, name);
    for (const name of ['run', 'state', 'home']) mkdirSync(at(name));
    for (const folder of [join(scene.folder, '..'), scene.folder]) chmodSync(folder, 0o755);
    const [uid, gid] = isRoot ? [NOBODY, NOBODY] : [process.getuid!(), process.getgid!()];
    if (isRoot) chownSync(at('home'), uid, gid);
    writeFileSync(
      at('dovecot.conf'),
      `protocols = imap
listen = 127.0.0.1
base_dir = ${at('run')}
state_dir = ${at('state')}
log_path = ${at('log')}
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:${at('home')}/%u
mail_max_userip_connections = 10000
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=${uid} gid=${gid} home=${at('home')}/%u
}
service imap-login {
  process_min_avail = 1
  service_count = 0
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
`,
    );
    const { pid } = await scene.serve('/usr/sbin/dovecot', ['-F', '-c', at('dovecot.conf')], { port });
    return { pid, port, speaks: 'imap' };
  },
};

interface Took {
  readonly first: number;
  readonly best: number;
}

/** What is asked of a mailbox of so many mails, a second. */
function reading(name: string, command: string, amount: number, unit: Workload['unit'], hasGoal: boolean): Workload {
  const few = (scene: Scene) => (isQuick(scene) ? 20 : 1);
  return {
    name,
    unit,
    policy: 'durable',
    entrants: [own('imap'), dovecot],
    goals: hasGoal ? { [dovecot.name]: { floor: 0.7, aim: 1 } } : {},
    async measure(scene, server) {
      const count = 10_000 / few(scene);
      await load(scene, server, ['fill', '--count', String(count)]);
      const asked = command.replace('MOST', String(Math.max(1, Math.min(count, amount))));
      const [, took] = await load<Took[]>(scene, server, ['ask', 'SELECT INBOX', asked]);
      return { value: Math.min(count, amount) / (took!.best / 1_000), loaded: null };
    },
  };
}

const opening: Workload = {
  name: 'IMAP, SELECT of 100,000 mails that is open elsewhere',
  unit: 'ms',
  policy: 'durable',
  lessIsBetter: true,
  long: true,
  entrants: [own('imap'), dovecot],
  goals: { portico: { floor: 100, aim: 20 } },
  async measure(scene, server) {
    await load(scene, server, ['fill', '--count', '100000']);
    const [took] = await load<Took[]>(scene, server, ['ask', 'SELECT INBOX']);
    return { value: took!.best, loaded: null };
  },
};

/** Whether a process is there. */
function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Portico that was filled, ended, and started again. */
const reopened: Entrant = {
  ...own('imap'),
  async start(scene) {
    const first = await own('imap').start(scene);
    await load(scene, first, ['fill', '--count', isQuick(scene) ? '5000' : '100000']);
    process.kill(first.pid, 'SIGTERM');
    while (lives(first.pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    return own('imap').start(scene);
  },
};

const openingCold: Workload = {
  name: 'IMAP, first SELECT of 100,000 mails after a restart',
  unit: 'ms',
  policy: 'durable',
  lessIsBetter: true,
  long: true,
  entrants: [reopened],
  goals: { portico: { floor: 1_000, aim: 300 } },
  async measure(scene, server) {
    const [took] = await load<Took[]>(scene, server, ['ask', 'SELECT INBOX']);
    return { value: took!.first, loaded: null };
  },
};

const idling: Workload = {
  name: 'IMAP, memory of a connection in IDLE',
  unit: 'bytes',
  policy: 'durable',
  lessIsBetter: true,
  entrants: [own('imap')],
  goals: { portico: { floor: 20_480, aim: 8_192 } },
  async measure(scene, server) {
    const count = isQuick(scene) ? 50 : 1_000;
    const { bytes } = await load<{ bytes: number }>(scene, server, ['idle', '--count', String(count)]);
    return { value: bytes, loaded: null };
  },
};

export const workloads: readonly Workload[] = [
  receiving,
  reading('IMAP, 10,000 headers', 'FETCH 1:MOST BODY.PEEK[HEADER]', 10_000, 'msg/s', true),
  reading('IMAP, 10,000 envelopes', 'FETCH 1:MOST (FLAGS ENVELOPE)', 10_000, 'msg/s', true),
  reading('IMAP, 1,000 bodies', 'FETCH 1:MOST BODY.PEEK[]', 1_000, 'msg/s', true),
  reading('IMAP, SEARCH SUBJECT in 10,000', 'SEARCH SUBJECT "thing 77"', 10_000, 'msg/s', false),
  reading('IMAP, SORT SUBJECT of 10,000', 'SORT (SUBJECT) UTF-8 ALL', 10_000, 'msg/s', false),
  opening,
  openingCold,
  idling,
];
