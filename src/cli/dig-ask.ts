// How `portico dig` asks: one query written as it was wished, sent as often and over what was said, and the answer with its time.
import { randomInt } from 'node:crypto';
import { DnsCarriers } from '../exports/dns.ts';
import { HttpClient } from '../exports/http.ts';
import { dialWith, policyFor, type TlsOptions, turn } from '../exports/loop.ts';
import { CLASS, TYPE } from '../formats/dns/records.ts';
import { Message } from '../protocols/dns/codec.ts';
import { writePadding } from '../protocols/dns/codec-edns.ts';
import { MessageWriter } from '../protocols/dns/codec-write.ts';
import type { Carrier, ServerPoint } from '../protocols/dns/resolver-servers.ts';
import { AA, AD, CD, DO, OPTION, RD } from '../protocols/dns/wire.ts';
import type { DigPlan } from './dig-options.ts';

export const PORTS: Readonly<Record<Carrier, number>> = { udp: 53, tcp: 53, tls: 853, https: 443, quic: 853 };

export interface Heard {
  /** Of a transfer, all its messages. */
  readonly messages: readonly Buffer[];
  readonly ms: number;
  readonly point: ServerPoint;
  readonly carrier: Carrier;
  /** What is said above the answer: that it was truncated, and asked for again. */
  readonly remarks: readonly string[];
}

/** Nobody answered. */
export class NoAnswerError extends Error {}

const QUERY_BYTES = 1_500;

export function writeQuestion(plan: DigPlan): Buffer {
  const out = new MessageWriter();
  const bytes = Buffer.alloc(QUERY_BYTES);
  out.begin(bytes, 0, bytes.length);
  const { name, type, recursion, authoritative, authentic, checkingDisabled } = plan;
  const flags = (recursion ? RD : 0) | (authoritative ? AA : 0) | (authentic ? AD : 0) | (checkingDisabled ? CD : 0);
  out.header(randomInt(65_536), flags);
  out.question(name, 0, type, plan.class);
  if (type === TYPE.IXFR) soaFor(out, name);
  if (!plan.edns) return bytes.subarray(0, out.length);
  out.opt(plan.bufferBytes, 0, plan.version, plan.dnssec ? DO : 0);
  const put = (code: number, octets: Uint8Array) => out.option(code, octets, 0, octets.length);
  if (plan.nsid) put(OPTION.NSID, new Uint8Array(0));
  if (plan.cookie !== null) put(OPTION.COOKIE, plan.cookie.length === 0 ? ownCookie() : plan.cookie);
  if (plan.subnet !== null) put(OPTION.ECS, plan.subnet);
  if (plan.padding > 0) writePadding(out, plan.padding);
  return bytes.subarray(0, out.length);
}

function ownCookie(): Buffer {
  return Buffer.from(Array.from({ length: 8 }, () => randomInt(256)));
}

/** The SOA of serial 0 that an incremental transfer begins from (RFC 1995 §3). */
function soaFor(out: MessageWriter, name: Uint8Array): void {
  const data = new Uint8Array(22);
  out.record(8, name, 0, TYPE.SOA, CLASS.IN, 0, data, 0, data.length);
}

export class Asking {
  private readonly carriers: DnsCarriers;
  private readonly http: HttpClient;

  constructor(tls: TlsOptions, tlsName: string | null) {
    this.http = new HttpClient({ tls });
    this.carriers = new DnsCarriers({
      turn,
      dial: dialWith(65_537),
      tls: ({ host, tlsName: own }) => ({ ...policyFor(own ?? tlsName ?? host, tls), alpn: ['dot'] }),
      post: async (url, query) => {
        const headers = { 'content-type': 'application/dns-message', accept: 'application/dns-message' };
        const response = await this.http.fetch(url, { method: 'POST', headers, body: query });
        if (response.status !== 200) throw new Error(`${url} answers with status ${response.status}`);
        return new Uint8Array(await response.arrayBuffer());
      },
      idleMs: 1_000,
    });
  }

  close(): void {
    this.carriers.close();
    this.http.close();
  }

  /** Asks until somebody answers. Rejects with a `NoAnswerError` when nobody does. */
  async ask(points: readonly ServerPoint[], query: Buffer, plan: DigPlan): Promise<Heard> {
    const remarks: string[] = [];
    let carrier = plan.carrier;
    for (let tries = 0; tries < plan.tries; tries++) {
      const point = { ...points[tries % points.length]!, carrier };
      try {
        const heard = await this.once(point, carrier, query, plan, remarks);
        const truncated = carrier === 'udp' && (heard.messages[0]![2]! & 2) !== 0;
        if (!truncated || plan.ignoresTruncation) return heard;
        remarks.push(';; Truncated, retrying in TCP mode.');
        carrier = 'tcp';
        tries--;
      } catch (error) {
        remarks.push(`;; communications error to ${point.host}#${point.port}: ${(error as Error).message}`);
      }
    }
    throw new NoAnswerError([...remarks, ';; no servers could be reached'].join('\n'));
  }

  private once(
    point: ServerPoint,
    carrier: Carrier,
    query: Buffer,
    plan: DigPlan,
    remarks: readonly string[],
  ): Promise<Heard> {
    const began = performance.now();
    const messages: Buffer[] = [];
    const transfer = new TransferEnd(plan.type);
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        resolve({ messages, ms: performance.now() - began, point, carrier, remarks: [...remarks] });
      };
      const stop = this.carriers.ask(
        point,
        carrier,
        query,
        (input, start, stopAt) => {
          const message = Buffer.from(input.subarray(start, stopAt));
          if (message.length < 12 || message.readUInt16BE(0) !== query.readUInt16BE(0) || (message[2]! & 0x80) === 0)
            return carrier !== 'https';
          messages.push(message);
          if (transfer.goesOn(message)) return true;
          end();
          return false;
        },
        (why) => {
          clearTimeout(timer);
          reject(new Error(why));
        },
      );
      const timer = setTimeout(() => {
        stop();
        reject(new Error('timed out'));
      }, plan.timeoutMs);
    });
  }
}

/** Tells when a transfer is whole: at its second SOA, or at once when it is none (RFC 5936 §2.2, RFC 1995 §4). */
class TransferEnd {
  private readonly type: number;
  private readonly message = new Message();
  private soas = 0;
  private records = 0;
  private serial = -1;
  private most = 2;

  constructor(type: number) {
    this.type = type;
  }

  goesOn(bytes: Buffer): boolean {
    if (this.type !== TYPE.AXFR && this.type !== TYPE.IXFR) return false;
    const { message } = this;
    if (message.read(bytes, 0, bytes.length) < 0 || message.rcode !== 0 || message.answers === 0) return false;
    for (let index = 0; index < message.answers; index++) {
      this.records++;
      if (message.type[index] !== TYPE.SOA) continue;
      const serial = bytes.readUInt32BE(message.dataEnd[index]! - 20);
      if (this.serial < 0) this.serial = serial;
      // The second record of an incremental transfer is the old SOA; the end is the third time that the new one stands.
      else if (this.records === 2 && this.type === TYPE.IXFR) this.most = 3;
      if (serial === this.serial) this.soas++;
    }
    return this.soas < this.most && !(this.type === TYPE.IXFR && this.records === 1);
  }
}
