// Proofs of names by DNS (RFC 8555 §8.4): a TXT record in a zone of this server, or by an update in one of another server's
// (RFC 2136), for as long as the proof is looked at.
import { createHash, randomInt } from 'node:crypto';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Turn } from '../../core/turn.ts';
import { DnsCarriers } from '../../exports/dns.ts';
import { nameFrom } from '../../formats/dns/name.ts';
import { CLASS, TYPE } from '../../formats/dns/records.ts';
import { Message } from '../../protocols/dns/codec.ts';
import { MessageWriter } from '../../protocols/dns/codec-write.ts';
import type { ServerPoint } from '../../protocols/dns/resolver-servers.ts';
import { Signing, type TsigKey } from '../../protocols/dns/tsig.ts';
import { OPCODE, rcodeName } from '../../protocols/dns/wire.ts';
import { ADDED, Changes, REMOVED } from '../../resources/names/changes.ts';
import type { Names, Zone } from '../../resources/names/contract.ts';

/** Where a name's zone is changed that is not ours. */
export interface UpdatePlan {
  readonly zone: string;
  readonly server: string;
  readonly port: number;
  /** By its name, of `dns.keys`. */
  readonly key?: string | undefined;
  /** How long it takes until all servers of the zone have it. */
  readonly waitSeconds: number;
}

export interface DnsProofsOptions {
  readonly names: Names;
  readonly keys: readonly TsigKey[];
  readonly turn: Turn;
}

const TTL = 60;
const TRIES = 3;
const TRY_MS = 3_000;

export class DnsProofs {
  private readonly options: DnsProofsOptions;

  constructor(options: DnsProofsOptions) {
    this.options = options;
  }

  /** Shows a proof; answers how to take it back. Rejects where it cannot be shown. */
  async show(name: string, authorization: string, plan: UpdatePlan | undefined): Promise<() => void> {
    const owner = nameFrom(`_acme-challenge.${name}.`);
    if (owner === null) throw new Error(`${name} is too long to be proven by DNS`);
    const digest = createHash('sha256').update(authorization).digest('base64url');
    const data = Buffer.from(`${String.fromCharCode(digest.length)}${digest}`, 'latin1');
    if (plan !== undefined) {
      await this.update(plan, owner, data, true);
      if (plan.waitSeconds > 0) await new Promise((resolve) => setTimeout(resolve, plan.waitSeconds * 1_000));
      return () => void this.update(plan, owner, data, false).catch(() => {});
    }
    const zone = this.options.names.zoneOf(owner, 0, '127.0.0.1', false);
    if (zone === null || zone.kind === 'secondary')
      throw new Error(`${name} is in no zone that this server can change; say where, in \`update\``);
    await this.change(zone, owner, data, true);
    return () => void this.change(zone, owner, data, false).catch(() => {});
  }

  private change(zone: Zone, owner: Uint8Array, data: Buffer, adds: boolean): Promise<void> {
    const changes = new Changes();
    changes.push(adds ? ADDED : REMOVED, owner, 0, TYPE.TXT, TTL, data, 0, data.length);
    return new Promise((resolve, reject) => {
      const settled = (_token: number, outcome: Outcome) =>
        outcome === OK ? resolve() : reject(new Error(`the zone ${zone.name} could not be changed (${outcome})`));
      this.options.names.change(zone, () => changes, { settled }, 0);
    });
  }

  private async update(plan: UpdatePlan, owner: Uint8Array, data: Buffer, adds: boolean): Promise<void> {
    const { turn, keys } = this.options;
    const zone = nameFrom(plan.zone.endsWith('.') ? plan.zone : `${plan.zone}.`);
    const key = plan.key === undefined ? null : keys.find(({ name }) => name === plan.key!.replace(/\.$/, ''));
    if (zone === null || key === undefined) throw new Error(`there is no zone ${plan.zone}, or no key ${plan.key}`);
    const out = new MessageWriter();
    const bytes = Buffer.alloc(1_232);
    out.begin(bytes, 0, bytes.length);
    out.header(randomInt(65_536), OPCODE.UPDATE << 11);
    out.question(zone, 0, TYPE.SOA, CLASS.IN);
    // To add it, or to delete that very record (RFC 2136 §2.5.1, §2.5.4).
    out.record(8, owner, 0, TYPE.TXT, adds ? CLASS.IN : CLASS.NONE, adds ? TTL : 0, data, 0, data.length);
    const signing = key === null ? null : Signing.query(key);
    signing?.sign(out, turn.clock.wall);
    const answer = await this.exchange(
      { host: plan.server, port: plan.port, carrier: 'udp' },
      bytes.subarray(0, out.length),
    );
    const message = new Message();
    if (
      message.read(answer, 0, answer.length) < 0 ||
      (message.rcode === 0 && signing?.checkAnswer(message, turn.clock.wall) === false)
    )
      throw new Error(`${plan.server} answered the update with what cannot be right`);
    if (message.rcode !== 0)
      throw new Error(`${plan.server} refused to change ${plan.zone}: ${rcodeName(message.rcode)}`);
  }

  private async exchange(point: ServerPoint, query: Buffer): Promise<Buffer> {
    const { turn } = this.options;
    const none = () => () => {};
    const carriers = new DnsCarriers({
      ...{ turn, dial: none, tls: () => ({ role: 'client' }), idleMs: 0 },
      post: async () => new Uint8Array(0),
    });
    for (let tries = 1; ; tries++) {
      try {
        return await new Promise<Buffer>((resolve, reject) => {
          const heard = (input: Uint8Array, start: number, end: number) => {
            const isOurs = end - start >= 12 && input[start] === query[0] && input[start + 1] === query[1];
            if (isOurs) {
              clearTimeout(timer);
              resolve(Buffer.from(input.subarray(start, end)));
            }
            return !isOurs;
          };
          const stop = carriers.ask(point, 'udp', query, heard, (why) => {
            clearTimeout(timer);
            reject(new Error(`${point.host} cannot be asked: ${why}`));
          });
          const timer = setTimeout(() => {
            stop();
            reject(new Error(`${point.host} does not answer`));
          }, TRY_MS);
        });
      } catch (error) {
        if (tries >= TRIES) throw error;
      }
    }
  }
}
