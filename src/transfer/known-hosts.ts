// OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): names in the clear, with patterns, and hashed. It reads text and
// knows no file.
import { createHash, createHmac } from 'node:crypto';

export type Known = 'known' | 'unknown' | 'changed' | 'revoked';

interface Line {
  readonly isRevoked: boolean;
  readonly type: string;
  readonly key: string;
}

/** `host`, or `[host]:port` for what is not on port 22. */
export function hostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

export class KnownHosts {
  private readonly lines: readonly Line[];

  constructor(text: string, host: string, port: number) {
    const name = hostName(host, port);
    this.lines = text.split('\n').flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const marker = fields[0]?.startsWith('@') === true ? fields.shift() : '';
      const [names = '', type = '', key = ''] = fields;
      // Certificates of hosts are not read here.
      if (names.startsWith('#') || key === '' || (marker !== '' && marker !== '@revoked') || !matches(names, name))
        return [];
      return [{ isRevoked: marker !== '', type, key }];
    });
  }

  /** The kinds of keys that the host is known by, which it is to be asked for. */
  get types(): string[] {
    return [...new Set(this.lines.filter(({ isRevoked }) => !isRevoked).map(({ type }) => type))];
  }

  judge(key: Buffer): Known {
    const text = key.toString('base64');
    const same = this.lines.filter((line) => line.key === text);
    if (same.some(({ isRevoked }) => isRevoked)) return 'revoked';
    if (same.length > 0) return 'known';
    return this.types.length > 0 ? 'changed' : 'unknown';
  }
}

function matches(names: string, name: string): boolean {
  if (names.startsWith('|1|')) {
    const [, , salt = '', hash = ''] = names.split('|');
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  let found = false;
  for (const pattern of names.toLowerCase().split(',')) {
    const isNot = pattern.startsWith('!');
    const text = (isNot ? pattern.slice(1) : pattern).replace(/[.+^${}()|[\]\\]/g, '\\$&');
    if (!new RegExp(`^${text.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name)) continue;
    if (isNot) return false;
    found = true;
  }
  return found;
}

/** As `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The kind of a key is its first field (RFC 4253 §6.6). */
export function keyType(key: Buffer): string {
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
}

export function knownLine(host: string, port: number, key: Buffer): string {
  return `${hostName(host, port)} ${keyType(key)} ${key.toString('base64')}\n`;
}
