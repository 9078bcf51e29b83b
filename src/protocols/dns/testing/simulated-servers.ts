// Authoritative servers in a simulated network, some of them bad, and a resolver among them: signed zones from maps, latency and loss
// from the world's seed, streams beside datagrams.
import type { DatagramPort, DatagramSession } from '../../../core/datagram.ts';
import { bindLimits } from '../../../core/limits.ts';
import type { Address } from '../../../core/peer.ts';
import { type Clock, NEVER } from '../../../core/time.ts';
import { CLASS, TYPE } from '../../../formats/dns/records.ts';
import type { RecordSet } from '../../../formats/dnssec/canonical.ts';
import { canonicalData } from '../../../formats/dnssec/canonical.ts';
import { ED25519, generateKey, type SigningKey } from '../../../formats/dnssec/keys.ts';
import { isWithin, keyOf, labelCount, lastLabels, wildcardUnder } from '../../../formats/dnssec/names.ts';
import { delegationSigner, keysOf, MapZone, nameOf, set, soa } from '../../../resources/names/testing/signed-zones.ts';
import { SIGNING_POLICY, type SigningPolicy, ZoneSigner } from '../../../resources/names/zone-signer.ts';
import { DatagramNetwork, type NetworkOptions } from '../../../sim/datagrams.ts';
import { World } from '../../../sim/world.ts';
import { Message } from '../codec.ts';
import { MessageWriter } from '../codec-write.ts';
import { type Answer, type Outside, Resolver, type ResolverSettings } from '../resolver.ts';
import { BlockList } from '../resolver-blocks.ts';
import { resolverLimits } from '../resolver-limits.ts';
import type { Carrier, ServerPoint } from '../resolver-servers.ts';
import { AA, OPTION, QR, RCODE, TC } from '../wire.ts';

/** A zone with its keys; unsigned where those are null. */
export class SimulatedZone {
  readonly map: MapZone;
  readonly apex: Buffer;
  readonly key: SigningKey | null;
  private readonly policy: SigningPolicy;
  signer: ZoneSigner | null = null;

  constructor(apex: string, signed: boolean, policy: SigningPolicy = SIGNING_POLICY) {
    this.apex = nameOf(apex);
    this.map = new MapZone(this.apex);
    this.key = signed ? generateKey(ED25519, 'ksk') : null;
    this.policy = policy;
    this.map.put(soa(this.apex, 1));
  }

  put(name: string, type: number, ...data: Buffer[]): this {
    this.map.put({ name: nameOf(name), type, ttl: 300, data });
    return this;
  }

  /** Delegates to a server by name, with glue, and its DS where the child is signed. */
  delegate(child: SimulatedZone, server: string, address: string | null): this {
    this.put(nameText(child.apex), TYPE.NS, nameOf(server));
    if (address !== null) this.put(server, TYPE.A, addressData(address));
    if (child.key !== null) this.map.put(delegationSigner(child.apex, child.key));
    return this;
  }

  /** Signs it as it stands. */
  sign(now: number): this {
    if (this.key === null) return this;
    this.signer = new ZoneSigner(this.apex, keysOf([this.key], [this.key]), this.policy);
    for (const work = this.signer.sign(this.map, now); work.next().done !== true; );
    return this;
  }

  find(name: Buffer, type: number): RecordSet | null {
    for (const one of this.map.setsAt(name)) if (one.type === type) return one;
    if (this.signer !== null)
      for (const one of this.signer.all()) if (one.type === type && keyOf(one.name) === keyOf(name)) return one;
    return null;
  }

  exists(name: Buffer): boolean {
    for (const other of this.map.namesWithin(name)) if (isWithin(other, name)) return true;
    return false;
  }
}

function nameText(name: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; name[at]! > 0; at += name[at]! + 1) parts.push(name.toString('latin1', at + 1, at + 1 + name[at]!));
  return parts.join('.');
}

export function addressData(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** How a server is bad. */
export interface Manners {
  silent?: boolean;
  noEdns?: boolean;
  changesCase?: boolean;
  truncates?: boolean;
  refuses?: boolean;
  cookies?: boolean;
  /** Changes an answer before it goes. */
  forge?: (answer: { id: number; out: MessageWriter; query: Message }) => boolean;
  /** Another answer for a zone's questions than what it holds. */
  data?: (name: Buffer, type: number) => RecordSet[] | null;
}

export class SimulatedServer {
  readonly zones: SimulatedZone[] = [];
  readonly manners: Manners = {};
  /** What was asked, as `name type`. */
  readonly asked: string[] = [];
  private readonly message = new Message();
  private readonly out = new MessageWriter();
  private readonly bytes = new Uint8Array(65_535);

  answer(input: Uint8Array, stream: boolean): Buffer | null {
    const { message, out, manners } = this;
    if (message.read(input, 0, input.length) < 0) return null;
    const name = Buffer.from(message.qname.copy());
    this.asked.push(`${nameText(name).toLowerCase()} ${message.qtype}`);
    if (manners.silent === true && !stream) return null;
    const edns = message.opt >= 0;
    out.begin(this.bytes, 0, stream ? 65_535 : message.udpBytes);
    if (manners.changesCase === true)
      for (let at = 0; at < name.length; at++) if (name[at]! >= 0x41 && name[at]! <= 0x5a) name[at]! += 32;
    out.question(name, 0, message.qtype, CLASS.IN);
    let rcode: number = RCODE.NOERROR;
    let flags = QR;
    if (manners.noEdns === true && edns) rcode = RCODE.FORMERR;
    else if (manners.refuses === true) rcode = RCODE.REFUSED;
    else if (manners.truncates === true && !stream) flags |= TC;
    else if (manners.forge?.({ id: message.id, out, query: message }) === true) flags |= AA;
    else {
      const said = this.say(name, message.qtype, message.wantsSignatures);
      rcode = said.rcode;
      if (said.authoritative) flags |= AA;
      for (const { section, set: one } of said.sets)
        for (const data of one.data)
          if (!out.record(section, one.name, 0, one.type, CLASS.IN, one.ttl, data, 0, data.length)) flags |= TC;
    }
    if (edns && manners.noEdns !== true) {
      out.limit = this.bytes.length;
      out.opt(1_232, 0, 0, 0x8000);
      const at = message.option(OPTION.COOKIE);
      if (manners.cookies === true && at >= 0) {
        const cookie = Buffer.concat([message.bytes.subarray(at, at + 8), Buffer.alloc(8, 7)]);
        out.option(OPTION.COOKIE, cookie, 0, cookie.length);
      }
    }
    out.header(message.id, flags | rcode);
    return Buffer.from(this.bytes.subarray(0, out.length));
  }

  private say(name: Buffer, type: number, signed: boolean) {
    const sets: { section: number; set: RecordSet }[] = [];
    const zone = this.zoneOf(name, type);
    if (zone === undefined) return { rcode: RCODE.REFUSED as number, authoritative: false, sets };
    const add = (section: number, one: RecordSet | null, owner: Buffer | null = null) => {
      if (one === null) return;
      sets.push({ section, set: owner === null ? one : { ...one, name: owner } });
      const signature = signed ? (zone.signer?.signatureOf(one.name, one.type) ?? null) : null;
      if (signature !== null) sets.push({ section, set: owner === null ? signature : { ...signature, name: owner } });
    };
    const prove = (proofs: readonly RecordSet[]) => {
      if (signed) for (const one of proofs) add(8, one);
    };
    const chain = zone.signer?.chain;
    const deny = (proofs: readonly RecordSet[]) => {
      add(8, zone.find(zone.apex, TYPE.SOA));
      prove(proofs);
    };
    const cut = this.cutOf(zone, name, type);
    if (cut !== null) {
      add(8, zone.find(cut, TYPE.NS));
      const signer = zone.find(cut, TYPE.DS);
      if (signer !== null) add(8, signer);
      else if (chain !== undefined) prove(chain.unsignedDelegation(cut));
      for (const data of zone.find(cut, TYPE.NS)!.data)
        for (const one of zone.map.setsAt(data)) if (one.type === TYPE.A) sets.push({ section: 10, set: one });
      return { rcode: RCODE.NOERROR as number, authoritative: false, sets };
    }
    const given = this.manners.data?.(name, type);
    if (given != null) for (const one of given) add(6, one);
    if (sets.length > 0) return { rcode: RCODE.NOERROR as number, authoritative: true, sets };
    for (const own of [type, TYPE.CNAME]) {
      const found = zone.find(name, own);
      if (found === null) continue;
      add(6, found);
      return { rcode: RCODE.NOERROR as number, authoritative: true, sets };
    }
    for (let labels = labelCount(name) - 1; labels >= labelCount(zone.apex); labels--) {
      const dname = zone.find(lastLabels(name, labels), TYPE.DNAME);
      if (dname === null) continue;
      add(6, dname);
      return { rcode: RCODE.NOERROR as number, authoritative: true, sets };
    }
    if (zone.exists(name) || name.length === zone.apex.length) {
      deny(chain?.noType(name) ?? []);
      return { rcode: RCODE.NOERROR as number, authoritative: true, sets };
    }
    let labels = labelCount(name) - 1;
    while (!zone.exists(lastLabels(name, labels)) && labels > labelCount(zone.apex)) labels--;
    const wildcard = wildcardUnder(lastLabels(name, labels))!;
    if (!zone.exists(wildcard)) {
      deny(chain?.noName(name) ?? []);
      return { rcode: RCODE.NXDOMAIN as number, authoritative: true, sets };
    }
    const found = zone.find(wildcard, type) ?? zone.find(wildcard, TYPE.CNAME);
    if (found === null) deny(chain?.noTypeOfWildcard(name, wildcard) ?? []);
    else {
      add(6, found, name);
      prove(chain?.expanded(name, wildcard) ?? []);
    }
    return { rcode: RCODE.NOERROR as number, authoritative: true, sets };
  }

  private zoneOf(name: Buffer, type: number): SimulatedZone | undefined {
    const fitting = this.zones
      .filter(
        ({ apex }) => isWithin(name, apex) && !(type === TYPE.DS && apex.length === name.length && apex.length > 1),
      )
      .sort((a, b) => b.apex.length - a.apex.length);
    return fitting[0] ?? this.zones.find(({ apex }) => isWithin(name, apex));
  }

  private cutOf(zone: SimulatedZone, name: Buffer, type: number): Buffer | null {
    const last = labelCount(name) - (type === TYPE.DS ? 1 : 0);
    for (let labels = labelCount(zone.apex) + 1; labels <= last; labels++) {
      const at = lastLabels(name, labels);
      if (zone.map.has(at, TYPE.NS)) return at;
    }
    return null;
  }
}

/** A network with servers at addresses, and a resolver at 10.0.0.1. */
export class SimulatedInternet {
  readonly world: World;
  readonly network: DatagramNetwork;
  readonly servers = new Map<string, SimulatedServer>();
  resolver!: Resolver;
  /** Every datagram of the resolver, for who listens: from, to, bytes. */
  readonly onQuery: ((from: Address, to: Address, query: Buffer) => void)[] = [];

  constructor(seed: number, options: NetworkOptions = {}) {
    this.world = new World(seed);
    this.network = new DatagramNetwork(this.world, options);
  }

  get clock(): Clock {
    return { now: this.world.now(), wall: this.world.wall() };
  }

  get seconds(): number {
    return Math.floor(this.world.wall() / 1_000);
  }

  server(host: string, ...zones: SimulatedZone[]): SimulatedServer {
    const server = new SimulatedServer();
    server.zones.push(...zones);
    this.servers.set(host, server);
    this.network.open({ host, port: 53 }, (port: DatagramPort): DatagramSession => {
      return {
        deadline: NEVER,
        receive: (input, start, end, from) => {
          const answer = server.answer(input.subarray(start, end), false);
          if (answer !== null) port.send(from, null, answer, 0, answer.length, 0);
        },
        tick() {},
        leave() {},
        lost() {},
      };
    });
    return server;
  }

  resolve(
    settings: Partial<ResolverSettings> & { roots: ResolverSettings['roots'] },
    limits: Readonly<Record<string, number>> = {},
  ): Resolver {
    const { world } = this;
    const resolver: Resolver = new Resolver(
      {
        ...{ bound: bindLimits(resolverLimits, limits), forward: [], anchors: [], insecure: [], minimises: true },
        ...{ families: [4], port: 53, mayAsk: () => true, special: true, blocks: new BlockList(), blockedTo: null },
        ...settings,
      },
      this.outside(() => resolver),
      world.random,
      (error) => {
        throw error;
      },
    );
    this.resolver = resolver;
    return resolver;
  }

  /** Carries over the simulated network: a port of its own for each datagram. */
  private outside(resolver: () => Resolver): Outside {
    const open = new Map<number, () => void>();
    const { world } = this;
    const later = (step: () => void) =>
      world.after(0, () => {
        step();
        this.arm();
      });
    return {
      send: (token, point, carrier, query) => {
        if (carrier !== 'udp') {
          open.set(
            token,
            world.after(4, () => this.stream(token, point, query)),
          );
          return;
        }
        const local = { host: '10.0.0.1', port: 1_024 + world.random.below(64_000) };
        for (const listen of this.onQuery) listen(local, point, Buffer.from(query));
        let port: { close(): void; send: DatagramPort['send'] } | null = null;
        try {
          port = this.network.open(local, () => ({
            deadline: NEVER,
            receive: (input, start, end, from, _local, _ecn, clock) => {
              // As a connected socket: nobody else is heard.
              if (from.host !== point.host || from.port !== point.port) return;
              resolver().arrived(token, input, start, end, clock);
              this.arm();
            },
            tick() {},
            leave() {},
            lost() {},
          }));
        } catch {
          later(() => resolver().failed(token, this.clock));
          return;
        }
        open.set(token, () => port!.close());
        port.send(point, null, query, 0, query.length, 0);
      },
      drop: (token) => {
        const end = open.get(token);
        open.delete(token);
        if (end !== undefined) world.after(0, end);
      },
    };
  }

  private stream(token: number, { host }: ServerPoint, query: Uint8Array): void {
    const answer = this.servers.get(host)?.answer(query, true) ?? null;
    if (answer === null) this.resolver.failed(token, this.clock);
    else this.resolver.arrived(token, answer, 0, answer.length, this.clock);
    this.arm();
  }

  private armed = NEVER;

  /** Sees to it that the resolver is woken at its next deadline. */
  arm(): void {
    const { due } = this.resolver;
    if (due >= this.armed || due === NEVER) return;
    this.armed = due;
    this.world.at(due, () => {
      this.armed = NEVER;
      this.resolver.tick(this.clock);
      this.arm();
    });
  }

  /** Asks and waits, in simulated time. */
  ask(name: string, type: number = TYPE.A, checkingDisabled = false, client = 'me'): Answer {
    let answer: Answer | null = null;
    this.resolver.ask(
      { name: nameOf(name), type, checkingDisabled, client, done: (given) => (answer = given) },
      this.clock,
    );
    this.arm();
    for (let round = 0; answer === null && round < 40_000; round++) this.world.pass(1);
    if (answer === null) throw new Error(`${name} is never answered`);
    return answer;
  }

  /** Asks and goes on. */
  begin(name: string, done: (answer: Answer) => void, client = 'me', type: number = TYPE.A): void {
    this.resolver.ask({ name: nameOf(name), type, checkingDisabled: false, client, done }, this.clock);
    this.arm();
  }
}

/** The addresses at the end of an answer, as text. */
export function addressesOf(answer: Answer): string[] {
  const last = answer.steps.at(-1);
  return last?.kind === 'data' ? last.set!.data.map((data) => data.join('.')).sort() : [];
}

export type { Carrier };
export { addressData as a, canonicalData, nameOf, set };
