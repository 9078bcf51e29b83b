// DNS in a simulated world over real zones, and messages as tests write and read them.
import assert from 'node:assert/strict';
import { ByteWriter } from '../../../bytes/writer.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Address } from '../../../core/peer.ts';
import { OPEN_PERMISSIONS } from '../../../core/permissions.ts';
import type { Pipe } from '../../../core/pipe.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS, type PipeBounds } from '../../../core/stream-pipe.ts';
import { NameBuffer, nameFrom, nameText } from '../../../formats/dns/name.ts';
import {
  CLASS,
  className,
  expandRdata,
  rdataText,
  readRdata,
  TYPE,
  typeFrom,
  typeName,
  Words,
} from '../../../formats/dns/records.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { ZoneContents } from '../../../resources/names/contents.ts';
import { zoneFromMaster } from '../../../resources/names/master-file.ts';
import type { ZoneNames } from '../../../resources/names/names.ts';
import { openNames, type ZonePlan } from '../../../resources/names/open.ts';
import { House, NO_HISTORY } from '../../../resources/topics/testing/house.ts';
import { DatagramNetwork } from '../../../sim/datagrams.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import type { World } from '../../../sim/world.ts';
import { MemoryEngine } from '../../../storage/memory/engine.ts';
import { Message } from '../codec.ts';
import { optionText } from '../codec-edns.ts';
import { MessageWriter } from '../codec-write.ts';
import { DnsDatagrams } from '../datagrams.ts';
import { limits } from '../limits.ts';
import { type DnsHost, DnsServer } from '../server.ts';
import { DnsSession } from '../session.ts';
import { dnsSchema } from '../settings.ts';
import { opcodeName, rcodeName } from '../wire.ts';

export const ZONE = `
$TTL 300
@       SOA   ns1 host 1 3600 600 86400 120
        NS    ns1
        NS    ns2
ns1     A     192.0.2.53
        AAAA  2001:db8::53
ns2     A     192.0.2.54
www     A     192.0.2.1
alias   CNAME www
*.wild  TXT   "any"
child   NS    ns.child
ns.child A    192.0.2.99
strange TYPE65280 \\# 3 010203
`;

export interface BenchOptions {
  readonly zone?: string;
  readonly limits?: Readonly<Record<string, number>>;
  readonly bounds?: Partial<PipeBounds>;
  readonly cut?: number;
  readonly plan?: Partial<ZonePlan>;
  readonly keys?: readonly { readonly name: string; readonly secret: string; readonly account?: string }[];
}

/** A message in words. */
export interface Seen {
  readonly id: number;
  readonly opcode: string;
  readonly rcode: string;
  /** Of `qr aa tc rd ra ad cd`. */
  readonly flags: string;
  readonly question: string;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  /** `udp do options…`; null without OPT. */
  readonly edns: string | null;
  readonly size: number;
}

const FLAGS: readonly (readonly [number, string])[] = [
  [0x8000, 'qr'],
  [0x0400, 'aa'],
  [0x0200, 'tc'],
  [0x0100, 'rd'],
  [0x0080, 'ra'],
  [0x0020, 'ad'],
  [0x0010, 'cd'],
];

/** Reads a message that must be whole. */
export function seen(bytes: Uint8Array): Seen {
  const message = new Message();
  assert.equal(
    message.read(bytes, 0, bytes.length),
    bytes.length,
    `${message.fault.id} in ${Buffer.from(bytes).toString('hex')}`,
  );
  const sections: string[][] = [[], [], []];
  const name = new NameBuffer();
  for (let index = 0; index < message.count; index++) {
    if (index === message.opt) continue;
    const type = message.type[index]!;
    const data = new ByteWriter(70_000);
    assert.ok(message.readOwner(index, name));
    assert.ok(expandRdata(type, bytes, 0, message.dataAt[index]!, message.dataEnd[index]!, data), typeName(type));
    const text = `${nameText(name.bytes)} ${typeName(type)} ${rdataText(type, data.bytes, 0, data.length)}`;
    sections[message.sectionOf(index)]!.push(text);
  }
  const { qname, qtype, qclass } = message;
  return {
    id: message.id,
    opcode: opcodeName(message.opcode),
    rcode: rcodeName(message.rcode),
    flags: FLAGS.flatMap(([bit, flag]) => ((message.flags & bit) !== 0 ? [flag] : [])).join(' '),
    question: message.questions === 0 ? '' : `${nameText(qname.bytes)} ${className(qclass)} ${typeName(qtype)}`,
    answer: sections[0]!,
    authority: sections[1]!,
    additional: sections[2]!,
    edns: message.opt < 0 ? null : ednsText(message),
    size: bytes.length,
  };
}

function ednsText(message: Message): string {
  const parts = [`v${message.ednsVersion}`, String(message.class[message.opt])];
  if (message.wantsSignatures) parts.push('do');
  const end = message.dataEnd[message.opt]!;
  for (let at = message.dataAt[message.opt]!; at < end; ) {
    const [code, size] = [
      message.bytes[at]! * 256 + message.bytes[at + 1]!,
      message.bytes[at + 2]! * 256 + message.bytes[at + 3]!,
    ];
    parts.push(optionText(code, message.bytes, at + 4, at + 4 + size));
    at += 4 + size;
  }
  return parts.join(' ');
}

export interface QueryOptions {
  readonly id?: number;
  readonly flags?: number;
  readonly class?: number;
  /** The size that OPT tells; none without. */
  readonly udp?: number;
  readonly version?: number;
  readonly dnssec?: boolean;
  /** Flags of EDNS beside DO. */
  readonly z?: number;
  /** In hexadecimal, with their codes and lengths. */
  readonly options?: string;
}

export function query(name: string, type: string | number, given: QueryOptions = {}): Buffer {
  const out = new MessageWriter();
  const bytes = Buffer.alloc(4_096);
  out.begin(bytes, 0, bytes.length);
  const number = typeof type === 'number' ? type : typeFrom(type);
  out.question(nameFrom(name)!, 0, number, given.class ?? CLASS.IN);
  out.header(given.id ?? 0x4242, given.flags ?? 0);
  if (given.udp !== undefined || given.options !== undefined || given.version !== undefined) {
    out.opt(given.udp ?? 1_232, 0, given.version ?? 0, (given.dnssec === true ? 0x8000 : 0) | (given.z ?? 0));
    const options = Buffer.from((given.options ?? '').replace(/\s/g, ''), 'hex');
    out.raw(options, 0, options.length);
    bytes.writeUInt16BE(options.length, out.at - options.length - 2);
  }
  return bytes.subarray(0, out.length);
}

export interface UpdateRecord {
  readonly name: string;
  readonly class?: number;
  readonly type: string;
  readonly ttl?: number;
  /** As in a master file; none for an empty one. */
  readonly data?: string;
}

/** An update: prerequisites, then changes (RFC 2136 §2). */
export function update(zone: string, prerequisites: readonly UpdateRecord[], changes: readonly UpdateRecord[]): Buffer {
  const out = new MessageWriter();
  const bytes = Buffer.alloc(65_535);
  out.begin(bytes, 0, bytes.length);
  out.question(nameFrom(zone)!, 0, TYPE.SOA, CLASS.IN);
  for (const [offset, records] of [
    [6, prerequisites],
    [8, changes],
  ] as const)
    for (const { name, class: rclass = CLASS.IN, type, ttl = 0, data } of records) {
      const rdata = new ByteWriter(70_000);
      if (data !== undefined) assert.equal(readRdata(typeFrom(type), Words.of(data)!, rdata, null), null, data);
      out.record(offset, nameFrom(name)!, 0, typeFrom(type), rclass, ttl, rdata.bytes, 0, rdata.length);
    }
  out.header(0x5151, 5 << 11);
  return Buffer.from(bytes.subarray(0, out.length));
}

export interface Talk {
  readonly peer: Recorder;
  readonly server: SimulatedPipe;
  /** Sends messages behind their lengths. */
  asks(...messages: readonly Uint8Array[]): void;
  says(bytes: Uint8Array): void;
  /** Messages that came since the last call. */
  hears(ms?: number): Seen[];
}

export class Bench {
  readonly house: House;
  readonly host: DnsHost;
  readonly names: ZoneNames;
  readonly server: DnsServer;
  readonly network: DatagramNetwork;
  readonly faulted: string[] = [];
  private readonly options: BenchOptions;

  private constructor(house: House, names: ZoneNames, options: BenchOptions) {
    const { world, topics } = house;
    this.house = house;
    this.names = names;
    this.options = options;
    this.network = new DatagramNetwork(world);
    this.host = {
      resources: { accounts: OPEN_ACCOUNTS, topics, names },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      settings: dnsSchema.parse({ keys: options.keys ?? [] }),
      routes: () => {},
    };
    this.server = new DnsServer(this.host, names);
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    const house = await House.open(NO_HISTORY);
    const origin = nameFrom('example.')!;
    const contents = new ZoneContents(origin);
    assert.equal(zoneFromMaster(options.zone ?? ZONE, origin, contents), null);
    const nobody = { networks: [], keys: [] };
    const plan: ZonePlan = {
      ...{ name: 'example', origin, kind: 'own', clients: null, transfer: nobody, update: nobody },
      ...{ notify: [], primaries: [] },
      ...options.plan,
    };
    const { names } = await openNames({
      engine: new MemoryEngine(),
      permissions: OPEN_PERMISSIONS,
      zones: [plan],
      told: () => {},
      warn: () => {},
      wall: () => 1_700_000_000_000,
    });
    names.zones()[0]!.adopt(contents, '');
    return new Bench(house, names, options);
  }

  get world(): World {
    return this.house.world;
  }

  /** Connects over TCP. */
  connect(cut = this.options.cut ?? 0): Talk {
    const { world, server } = this;
    let peer!: Recorder;
    const link = linkPipes(
      world,
      (pipe: Pipe) => (peer = new Recorder(pipe)),
      (pipe) => new DnsSession(pipe, server.responder, server.callerOf(true), this.host.clock),
      {
        cut,
        bounds: { inputMax: 65_537, ...this.options.bounds },
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    // A recorder keeps the beginning of long conversations only.
    let received = Buffer.alloc(0);
    peer.onReceive = (input, start, end) => {
      received = Buffer.concat([received, input.subarray(start, end)]);
    };
    const says = (bytes: Uint8Array) => {
      peer.pipe.out.copy(bytes, 0, bytes.length);
      peer.pipe.flush();
    };
    return {
      peer,
      server: link.far,
      says,
      asks: (...messages) => {
        for (const message of messages) says(framed(message));
      },
      hears: (ms = 200) => {
        world.pass(ms);
        const found: Seen[] = [];
        let at = 0;
        while (received.length - at >= 2 && received.length - at >= 2 + received.readUInt16BE(at)) {
          const size = received.readUInt16BE(at);
          found.push(seen(Uint8Array.from(received.subarray(at + 2, at + 2 + size))));
          at += 2 + size;
        }
        received = received.subarray(at);
        return found;
      },
    };
  }

  /** Asks over a stream of its own what is answered later. */
  async answered(message: Uint8Array): Promise<Seen> {
    const talk = this.connect(0);
    talk.asks(message);
    for (let round = 0; round < 1_000; round++) {
      const [found] = talk.hears(10);
      if (found !== undefined) return found;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error('nothing was answered');
  }

  /** Asks over UDP, from an address; what came back. */
  ask(message: Uint8Array, from: Address = { host: '127.0.0.1', port: 4_000 }): Buffer[] {
    const found: Buffer[] = [];
    const port = {
      local: { host: '127.0.0.1', port: 53 },
      ecn: false,
      room: 1 << 20,
      send(_to: Address, _local: Address | null, bytes: Uint8Array, start: number, end: number) {
        found.push(Buffer.from(bytes.slice(start, end)));
        return true;
      },
      touch() {},
      close() {},
    };
    const session = new DnsDatagrams(port, this.server.responder, (local) => this.server.callerOf(local));
    session.receive(message, 0, message.length, from, null);
    return found;
  }

  /** The one answer over UDP. */
  answer(message: Uint8Array, from?: Address): Seen {
    const found = this.ask(message, from);
    assert.equal(found.length, 1);
    return seen(found[0]!);
  }
}

export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(message.length + 2);
  bytes.writeUInt16BE(message.length);
  bytes.set(message, 2);
  return bytes;
}
