// DNS over HTTPS (RFC 8484): messages by GET and POST, and the JSON that scripts ask for, at /dns-query of every HTTP port. The
// answers are the responder's.
import { BAD, copyOf } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { type Caller, isLocal } from '../../core/caller.ts';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Host } from '../../core/protocol.ts';
import { NameBuffer, nameFrom, nameText } from '../../formats/dns/name.ts';
import { expandRdata, rdataText, TYPE, typeFrom } from '../../formats/dns/records.ts';
import type { Resources } from '../../resources/resources.ts';
import { answerBytes, answerProblem } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { Query } from '../http/query.ts';
import { splitTarget } from '../http/target.ts';
import { addressOctets } from './addresses.ts';
import { Message } from './codec.ts';
import { MessageWriter } from './codec-write.ts';
import { type Asker, LATER, NOTHING } from './responder.ts';
import { type DnsServer, serverOf } from './server.ts';
import * as W from './wire.ts';

const MESSAGE_TYPE = 'application/dns-message';
const JSON_TYPE = 'application/dns-json';
const MAY = 'GET, HEAD, POST';

export function serveHttps(host: Host<Resources>): ExchangeHandler {
  const server = serverOf(host);
  return (exchange) => serve(exchange, server);
}

function serve(exchange: Exchange, server: DnsServer): void {
  const { method } = exchange;
  const { queryBytesMax } = server.host.limits;
  if (method === 'POST') {
    const type = exchange.fields.get('content-type')?.split(';')[0]?.trim().toLowerCase();
    if (type !== MESSAGE_TYPE) answerProblem(exchange, 415, `A query by POST is ${MESSAGE_TYPE} (RFC 8484 §4.1).`);
    else collectBody(exchange, queryBytesMax, (body) => ask(exchange, server, body, false));
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    answerProblem(exchange, 405, `DNS is asked by ${MAY}.`, new Fields().append('allow', MAY));
    return;
  }
  const query = Query.of(splitTarget(exchange.target).query);
  const encoded = query?.get('dns') ?? null;
  const name = query?.get('name') ?? null;
  if (encoded !== null) {
    // base64url without padding (RFC 8484 §6).
    if (!/^[\w-]{16,}$/.test(encoded) || encoded.length > queryBytesMax * 1.4) {
      answerProblem(exchange, 400, 'dns= is a message in base64url without padding (RFC 8484 §6).');
      return;
    }
    ask(exchange, server, Buffer.from(encoded, 'base64url'), false);
  } else if (query !== null && name !== null) askByName(exchange, server, query, name);
  else answerProblem(exchange, 400, 'A query has dns=<message in base64url>, or name=<name>&type=<type>.');
}

/** `?name=example.com&type=MX&do=1&cd=1`, as public resolvers take it. */
function askByName(exchange: Exchange, server: DnsServer, query: Query, name: string): void {
  const wire = nameFrom(name.endsWith('.') ? name : `${name}.`);
  const typeText = query.get('type') ?? 'A';
  const type = /^\d{1,5}$/.test(typeText) ? Number(typeText) : typeFrom(typeText);
  if (wire === null || type <= 0 || type > 0xffff) {
    answerProblem(exchange, 400, wire === null ? `${name} is no name.` : `${typeText} is no type.`);
    return;
  }
  const isSet = (key: string) => ['1', 'true'].includes(query.get(key) ?? '');
  const bytes = Buffer.alloc(512);
  const out = new MessageWriter();
  out.begin(bytes, 0, bytes.length);
  out.question(wire, 0, type, 1);
  out.header(0, W.RD | (isSet('cd') ? W.CD : 0));
  out.opt(1_232, 0, 0, isSet('do') ? W.DO : 0);
  ask(exchange, server, bytes.subarray(0, out.length), true);
}

/** The asker of one exchange, until it is answered or lost. */
class HttpAsker implements Asker {
  readonly carrier = 'https';
  readonly host: string;
  readonly address: Uint8Array;
  readonly caller: Caller | null;
  readonly isLocal: boolean;
  private readonly exchange: Exchange;
  private readonly asJson: boolean;
  private over = false;

  constructor(exchange: Exchange, asJson: boolean) {
    const { peer } = exchange;
    this.exchange = exchange;
    this.asJson = asJson;
    this.host = peer.remote?.host ?? '127.0.0.1';
    this.address = addressOctets(this.host);
    this.caller = exchange.caller;
    this.isLocal = isLocal(peer);
  }

  answered(_token: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    this.over = true;
    // Nothing at all: the message was none.
    if (end <= start) answerProblem(this.exchange, 400, 'This is no DNS query.');
    else answer(this.exchange, copyOf(bytes, start, end), this.asJson);
  }

  lost(): void {
    this.over = true;
  }
}

function ask(exchange: Exchange, server: DnsServer, message: Uint8Array, asJson: boolean): void {
  const asker = new HttpAsker(exchange, asJson);
  exchange.on = { writable() {}, tick() {}, leave() {}, lost: () => asker.lost() };
  const { responder } = server;
  const length = responder.answer(message, 0, message.length, asker, 1);
  if (length !== LATER) asker.answered(1, responder.bytes, 0, length === NOTHING ? 0 : length);
}

const MESSAGE = new Message();

function answer(exchange: Exchange, bytes: Buffer, asJson: boolean): void {
  if (MESSAGE.read(bytes, 0, bytes.length) === BAD) {
    answerProblem(exchange, 500, 'The answer could not be made.');
    return;
  }
  const fields = new Fields();
  fields.append('content-type', asJson ? JSON_TYPE : MESSAGE_TYPE);
  // As long as its shortest record, or as long as it says that there is none (RFC 8484 §5.1).
  fields.append('cache-control', `max-age=${freshness(MESSAGE)}`);
  answerBytes(exchange, 200, fields, asJson ? Buffer.from(`${JSON.stringify(jsonOf(MESSAGE))}\n`) : bytes);
}

function freshness(message: Message): number {
  let least = 0xffff_ffff;
  const { bytes } = message;
  for (let index = 0; index < message.count; index++) {
    if (index === message.opt || index === message.tsig) continue;
    least = Math.min(least, message.ttl[index]!);
    // A negative answer lasts as its SOA says (RFC 2308 §5).
    if (message.answers === 0 && message.type[index] === TYPE.SOA) {
      const end = message.dataEnd[index]!;
      least = Math.min(least, Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(end - 4));
    }
  }
  return least === 0xffff_ffff || message.rcode === W.RCODE.SERVFAIL ? 0 : least;
}

const NAME = new NameBuffer();

interface JsonRecord {
  readonly name: string;
  readonly type: number;
  readonly TTL: number;
  readonly data: string;
}

function jsonOf(message: Message) {
  const sections: JsonRecord[][] = [[], [], []];
  for (let index = 0; index < message.count; index++) {
    if (index === message.opt || !message.readOwner(index, NAME)) continue;
    sections[message.sectionOf(index)]!.push(jsonRecord(message, index));
  }
  const [found, authority, additional] = sections;
  const { qname, qtype } = message;
  return {
    Status: message.rcode,
    TC: message.isTruncated,
    RD: message.wantsRecursion,
    RA: message.offersRecursion,
    AD: message.isAuthentic,
    CD: message.isCheckingDisabled,
    Question: [{ name: nameText(qname.bytes), type: qtype }],
    ...(found!.length === 0 ? {} : { Answer: found }),
    ...(authority!.length === 0 ? {} : { Authority: authority }),
    ...(additional!.length === 0 ? {} : { Additional: additional }),
  };
}

function jsonRecord(message: Message, index: number): JsonRecord {
  const name = nameText(NAME.bytes);
  const type = message.type[index]!;
  const data = new ByteWriter(70_000);
  const { bytes, start, dataAt, dataEnd } = message;
  const whole = expandRdata(type, bytes, start, dataAt[index]!, dataEnd[index]!, data);
  const text = whole ? rdataText(type, data.bytes, 0, data.length) : '';
  data.clear();
  return { name, type, TTL: message.ttl[index]!, data: text };
}
