// Zones signed by us and served by others on addresses of the loopback, all at one port: a root, `test` and leaves below it.
import { createSocket } from 'node:dgram';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordSet } from '../../src/formats/dnssec/canonical.ts';
import * as keys from '../../src/formats/dnssec/keys.ts';
import { delegationSigner, keysOf, MapZone, nameOf, soa } from '../../src/resources/names/testing/signed-zones.ts';
import { SIGNING_POLICY, type SigningPolicy, ZoneSigner } from '../../src/resources/names/zone-signer.ts';
import { Program, run } from '../clients.ts';

export const address = (text: string) => Buffer.from(text.split('.').map(Number));

export class SignedZone {
  readonly map: MapZone;
  readonly key: keys.SigningKey | null;
  readonly name: string;
  private readonly policy: SigningPolicy;
  signer: ZoneSigner | null = null;

  constructor(name: string, algorithm: number | null, policy: SigningPolicy = SIGNING_POLICY) {
    this.name = name;
    this.map = new MapZone(nameOf(name));
    this.key = algorithm === null ? null : keys.generateKey(algorithm, 'ksk');
    this.policy = policy;
    this.map.put(soa(this.map.apex, 1));
  }

  put(name: string, type: number, ...data: Buffer[]): this {
    this.map.put({ name: nameOf(name), type, ttl: 300, data });
    return this;
  }

  /** Delegates to a name below the child, with its address. */
  delegate(child: SignedZone, at: string): this {
    const server = `ns.${child.name}`;
    this.put(child.name, 2, nameOf(server)).put(server, 1, address(at));
    if (child.key !== null) this.map.put(delegationSigner(child.map.apex, child.key));
    child.put(child.name, 2, nameOf(server)).put(server, 1, address(at));
    return this;
  }

  sets(): RecordSet[] {
    const now = Math.floor(Date.now() / 1_000);
    const first = [...this.map.all()].sort((a, b) => Number(b.type === 6) - Number(a.type === 6));
    if (this.key === null) return first;
    this.signer = new ZoneSigner(this.map.apex, keysOf([this.key], [this.key]), this.policy);
    for (const work = this.signer.sign(this.map, now); work.next().done !== true; );
    return [...first, ...this.signer.all()];
  }

  /** A master file that needs no knowledge of types (RFC 3597 §5). */
  text(): string {
    let text = '';
    for (const { name, type, ttl, data } of this.sets())
      for (const one of data)
        text += `${nameText(name)} ${ttl} IN TYPE${type} \\# ${one.length} ${one.toString('hex')}\n`;
    return text;
  }

  write(folder: string): string {
    const path = join(folder, `${this.name === '' ? 'root' : this.name}.zone`);
    writeFileSync(path, this.text());
    return path;
  }

  /** Its key as a trust anchor. */
  get anchor(): string {
    const { data } = this.key!;
    return `${this.name}. DNSKEY ${data.readUInt16BE(0)} 3 ${data[3]} ${data.subarray(4).toString('base64')}`;
  }
}

export function nameText(name: Buffer): string {
  let text = '';
  for (let at = 0; name[at]! > 0; at += name[at]! + 1)
    text += `${name.toString('latin1', at + 1, at + 1 + name[at]!)}.`;
  return text === '' ? '.' : text;
}

/** A port that is free, over UDP, on each of the addresses. */
export async function commonPort(hosts: readonly string[]): Promise<number> {
  for (;;) {
    const open: ReturnType<typeof createSocket>[] = [];
    const bind = (host: string, port: number) =>
      new Promise<number | null>((resolve) => {
        const socket = createSocket('udp4');
        open.push(socket);
        socket.once('error', () => resolve(null));
        socket.bind(port, host, () => resolve(socket.address().port));
      });
    let port: number | null = 0;
    for (const host of hosts) if (port !== null) port = await bind(host, port);
    for (const socket of open) socket.close();
    if (port !== null) return port;
  }
}

async function ready(program: Program, host: string, port: number, zone: string): Promise<void> {
  let up = false;
  const look = async () => {
    for (let tries = 0; tries < 100 && !up; tries++) {
      const { out } = await run(
        'dig',
        `@${host}`,
        '-p',
        String(port),
        zone === '' ? '.' : zone,
        'SOA',
        '+short',
        '+tries=1',
        '+timeout=1',
      );
      up = /\d/.test(out) && !out.includes(';;');
      if (!up) await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await look();
  if (up) return;
  program.kill();
  throw new Error(`${host} does not serve ${zone}: ${program.out}${program.error}`);
}

/** Knot serving zones at an address. */
export async function knot(folder: string, host: string, port: number, zones: readonly SignedZone[]): Promise<Program> {
  const own = join(folder, `knot-${host}`);
  mkdirSync(own);
  const config = [
    `server:\n    listen: ${host}@${port}\n    rundir: ${own}\n`,
    `database:\n    storage: ${own}\n`,
    'zone:',
    ...zones.map((zone) => `  - domain: ${zone.name}.\n    file: ${zone.write(own)}\n    semantic-checks: off`),
  ].join('\n');
  writeFileSync(join(own, 'knot.conf'), `${config}\n`);
  const program = new Program('knotd', ['-c', join(own, 'knot.conf')]);
  await ready(program, host, port, zones[0]!.name);
  return program;
}

/** BIND serving zones at an address. */
export async function bind(folder: string, host: string, port: number, zones: readonly SignedZone[]): Promise<Program> {
  const own = join(folder, `bind-${host}`);
  mkdirSync(own);
  const config = [
    `options { directory "${own}"; pid-file none; session-keyfile none; listen-on port ${port} { ${host}; }; listen-on-v6 { none; };`,
    '  recursion no; notify no; dnssec-validation no; allow-query { any; }; managed-keys-directory "."; };',
    'controls { };',
    ...zones.map((zone) => `zone "${zone.name}." { type primary; file "${zone.write(own)}"; check-integrity no; };`),
  ].join('\n');
  writeFileSync(join(own, 'named.conf'), `${config}\n`);
  const program = new Program('named', ['-g', '-c', join(own, 'named.conf')]);
  await ready(program, host, port, zones[0]!.name);
  return program;
}
