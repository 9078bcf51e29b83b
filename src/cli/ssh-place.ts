// By which keys a command signs in over SSH, and whom it believes to be the server: what OpenSSH's files in ~/.ssh say.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import ssh2 from 'ssh2';
import { fingerprint, hostName, KnownHosts, keyType, knownLine } from '../transfer/known-hosts.ts';
import type { SshKey, SshPlace } from '../transfer/ssh-dial.ts';
import type { Place } from './channel.ts';
import { complain, EXIT, fail } from './output.ts';
import { knownPassword } from './prompt.ts';

interface SshFlags {
  readonly identity?: string[];
  readonly knownHosts?: string;
  readonly acceptNew?: boolean;
  readonly insecure?: boolean;
  readonly token?: string;
}

const KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

export function sshPlace({ host, port, user, password }: Place, flags: SshFlags): SshPlace {
  const file = flags.knownHosts ?? join(homedir(), '.ssh', 'known_hosts');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const known = new KnownHosts(text, host, port);
  const { SSH_AUTH_SOCK = '', PORTICO_PASSWORD = '', PORTICO_TOKEN = '' } = process.env;
  const given = flags.token ?? (password || PORTICO_TOKEN || PORTICO_PASSWORD);
  return {
    host,
    port,
    user,
    agent: flags.identity === undefined ? SSH_AUTH_SOCK : '',
    keys: keysOf(flags.identity),
    types: known.types,
    password: async () => {
      if (given !== '') return given;
      return process.stdin.isTTY ? knownPassword(false, `${user}@${host}`) : null;
    },
    judge: (key) => judge(known, key, host, port, file, flags),
  };
}

/** Keys that are named must be usable; of those in ~/.ssh, the ones that are. */
function keysOf(named: readonly string[] | undefined): SshKey[] {
  const paths = named ?? KEYS.map((name) => join(homedir(), '.ssh', name)).filter((path) => existsSync(path));
  const passphrase = process.env.PORTICO_PASSPHRASE ?? '';
  return paths.flatMap((path) => {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      return named === undefined ? [] : fail(`${path} cannot be read: ${(error as Error).message}`, EXIT.usage);
    }
    const parsed = ssh2.utils.parseKey(text, passphrase);
    if (!(parsed instanceof Error)) return [{ text, passphrase }];
    if (named === undefined) return [];
    return fail(
      `${path}: ${parsed.message}; the passphrase of a key is PORTICO_PASSPHRASE, or have ssh-agent hold it`,
      EXIT.usage,
    );
  });
}

async function judge(
  known: KnownHosts,
  key: Buffer,
  host: string,
  port: number,
  file: string,
  { insecure, acceptNew }: SshFlags,
): Promise<boolean> {
  const name = hostName(host, port);
  const print = `${keyType(key)} ${fingerprint(key)}`;
  const verdict = known.judge(key);
  if (verdict === 'known') return true;
  if (insecure === true) {
    complain(`--insecure: whoever answers as ${host} is believed`);
    return true;
  }
  if (verdict === 'revoked') throw new Error(`the key of ${name} is revoked in ${file}: ${print}`);
  if (verdict === 'changed')
    throw new Error(
      `${name} shows another key than ${file} has: ${print}. Somebody may be between; if it was renewed, ssh-keygen -R '${name}'`,
    );
  if (acceptNew !== true && !(await asksYes(`${name} is not known: ${print}\nis it the right one? (yes/no) `)))
    throw new Error(`${name} is not known in ${file}: ${print}; --accept-new believes it and remembers it`);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    appendFileSync(file, knownLine(host, port, key), { mode: 0o600 });
    complain(`${name} is remembered in ${file}: ${print}`);
  } catch (error) {
    complain(`${name} cannot be remembered: ${(error as Error).message}`);
  }
  return true;
}

async function asksYes(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(question);
  asking.close();
  return answer.trim().toLowerCase() === 'yes';
}
