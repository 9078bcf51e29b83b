// What a server does with queries that are more than looked up: updates, transfers, topics as TXT, and who may. One for all
// its listeners.

import { copyOf } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { OK, type Outcome, type OutcomeTable } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import { TYPE } from '../../formats/dns/records.ts';
import type { Names, Zone } from '../../resources/names/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { DnsDatagrams, peerAt } from './datagrams.ts';
import { LateAnswer } from './late.ts';
import type { limits } from './limits.ts';
import { DoqSession } from './mux.ts';
import { type Asker, type Beyond, type DnsLimits, LATER, Responder } from './responder.ts';
import type { Recursion } from './server-recursion.ts';
import { Update } from './server-update.ts';
import { DnsSession } from './session.ts';
import { DNS_DEFAULTS, type DnsSettings, keysOf } from './settings.ts';
import { topicStrings, topicUnder } from './topics.ts';
import { ChangedZone, type Transfer, WholeZone } from './transfer.ts';
import { SignedMessages } from './tsig.ts';
import * as W from './wire.ts';

export type DnsHost = Host<Resources, typeof limits>;

/** What each outcome is in DNS (docs/mapping.md). */
export const RCODES: OutcomeTable<number> = {
  0: W.RCODE.NOERROR,
  1: W.RCODE.REFUSED,
  2: W.RCODE.REFUSED,
  3: W.RCODE.NXDOMAIN,
  4: W.RCODE.YXDOMAIN,
  5: W.RCODE.FORMERR,
  6: W.RCODE.NXRRSET,
  7: W.RCODE.SERVFAIL,
  8: W.RCODE.SERVFAIL,
  9: W.RCODE.SERVFAIL,
  10: W.RCODE.SERVFAIL,
  11: W.RCODE.NOTIMP,
  12: W.RCODE.SERVFAIL,
};

/** What the configuration says, and what stands behind our zones by it. */
export type RunningSettings = DnsSettings & {
  readonly recursion?: Recursion | null;
  /** Told of a NOTIFY: the zone, the address, the key's name; false when it is not from a primary. */
  readonly notified?: (zone: Zone, host: string, key: string) => boolean;
};

export class DnsServer implements Beyond {
  private readonly recursion: Recursion | null;
  private readonly notified: NonNullable<RunningSettings['notified']>;
  readonly responder: Responder;
  readonly host: DnsHost;
  private readonly names: Names;
  private readonly signed: SignedMessages;
  private transfers = 0;
  /** Whoever sends datagrams from this machine, and from elsewhere. Good for one epoch of the rules. */
  private callers: { readonly local: Caller | null; readonly remote: Caller | null } = { local: null, remote: null };
  private callersEpoch = -1;

  constructor(host: DnsHost, names: Names) {
    const settings: RunningSettings = (host.settings as RunningSettings | undefined) ?? DNS_DEFAULTS;
    this.recursion = settings.recursion ?? null;
    this.notified = settings.notified ?? (() => false);
    this.host = host;
    this.names = names;
    this.signed = new SignedMessages(keysOf(settings));
    this.responder = new Responder({
      names,
      limits: host.limits as DnsLimits,
      clock: host.clock,
      entropy: host.entropy,
      software: settings.version ?? host.software,
      nsid: settings.nsid ?? 'portico',
      beyond: this,
      signed: this.signed,
    });
  }

  callerOf(local: boolean): Caller | null {
    const { accounts } = this.host.resources;
    if (this.callersEpoch !== accounts.permissions.epoch) {
      this.callersEpoch = accounts.permissions.epoch;
      this.callers = { local: accounts.nobody(peerAt('127.0.0.1')), remote: accounts.nobody(peerAt('192.0.2.1')) };
    }
    return local ? this.callers.local : this.callers.remote;
  }

  /** On whose behalf a query is answered: a key's account, or whoever may be there without one. */
  private actor(asker: Asker): Caller | null {
    const { account } = this.signed;
    if (account === null) return asker.caller;
    const { epoch } = this.host.resources.accounts.permissions;
    return {
      account,
      scopes: null,
      origin: asker.isLocal ? 'local' : 'remote',
      epoch,
      by: `tsig:${this.signed.keyName}`,
    };
  }

  private may(verb: 'list' | 'write', zone: Zone, asker: Asker): boolean {
    // A page in a browser comes from this machine as well.
    if (asker.carrier === 'https' && this.signed.keyName === '') return false;
    return this.names.may(this.actor(asker), verb, zone, asker.host, this.signed.keyName);
  }

  // ---- updates -----------------------------------------------------------------------------------------------------

  update(responder: Responder, asker: Asker, token: number): number {
    const { message } = responder;
    if (message.questions !== 1 || message.qtype !== TYPE.SOA) return responder.simple(W.RCODE.FORMERR);
    const zone = this.names.zoneOf(message.qname.bytes, 0, asker.host, false);
    if (zone === null || zone.origin.length !== message.qname.length || message.qclass !== 1)
      return responder.simple(W.RCODE.NOTAUTH);
    if (!this.may('write', zone, asker)) return responder.refuse(W.EDE.PROHIBITED);
    const update = new Update(copyOf(message.bytes, message.start, message.end), zone);
    const rcode = update.prescan();
    if (rcode !== W.RCODE.NOERROR) return responder.simple(rcode);
    const late = new LateAnswer(responder, asker, token);
    // What a prerequisite forbids settles with OK and nothing done: the update says why.
    const settled = (_token: number, outcome: Outcome) =>
      late.send(update.rcode === W.RCODE.NOERROR ? RCODES[outcome] : update.rcode);
    this.names.change(zone, (contents) => update.work(contents) ?? OK, { settled }, 0);
    return LATER;
  }

  // ---- transfers ---------------------------------------------------------------------------------------------------

  transfer(responder: Responder, zone: Zone, asker: Asker, token: number): number {
    const { message } = responder;
    const { qname, qtype } = message;
    if (qname.length !== zone.origin.length) return responder.simple(W.RCODE.NOTAUTH);
    if (!this.may('list', zone, asker)) return responder.refuse(W.EDE.PROHIBITED);
    const incremental = qtype === TYPE.IXFR;
    const serial = incremental ? serialAsked(responder) : -1;
    if (incremental && serial < 0) return responder.simple(W.RCODE.FORMERR);
    if (asker.stream === undefined) {
      // Over UDP the present SOA tells whether a stream is worth while (RFC 1995 §2); AXFR is never asked so.
      return incremental ? this.soaOnly(responder, zone) : responder.simple(W.RCODE.NOTIMP);
    }
    if (incremental && serial === zone.serial) return this.soaOnly(responder, zone);
    if (this.transfers >= this.host.limits.transfersMax) {
      responder.extendedError = W.EDE.NOT_READY;
      return responder.simple(W.RCODE.REFUSED);
    }
    const transfer: Transfer = {
      id: message.id,
      flags: message.flags & W.RD,
      name: qname.copy(),
      type: qtype,
      signing: this.signed.signing,
      wall: () => this.host.clock.wall,
    };
    this.transfers++;
    let open = true;
    const ended = () => {
      if (open) this.transfers--;
      open = false;
    };
    const deltas = incremental ? zone.since(serial) : null;
    const stream =
      deltas === null ? new WholeZone(zone, transfer, ended) : new ChangedZone(zone, deltas, transfer, ended);
    asker.stream(token, stream);
    return LATER;
  }

  private soaOnly(responder: Responder, zone: Zone): number {
    const { contents } = zone;
    const set = contents.setOf(1, TYPE.SOA);
    const at = contents.firstRecord(set);
    responder.begin();
    responder.out.record(
      6,
      responder.message.qname.bytes,
      0,
      TYPE.SOA,
      1,
      contents.ttlOf(set),
      contents.arena,
      at,
      contents.recordEnd(at),
    );
    return responder.finish(W.RCODE.NOERROR, W.AA);
  }

  /** A primary says that a zone has changed (RFC 1996 §3.10). */
  notify(responder: Responder, asker: Asker): number {
    const { message } = responder;
    if (message.questions !== 1 || message.qtype !== TYPE.SOA) return responder.simple(W.RCODE.FORMERR);
    const zone = this.names.zoneOf(message.qname.bytes, 0, asker.host, false);
    if (zone === null || zone.origin.length !== message.qname.length) return responder.simple(W.RCODE.NOTAUTH);
    if (!this.notified(zone, asker.host, this.signed.keyName)) return responder.refuse(W.EDE.PROHIBITED);
    responder.begin();
    return responder.finish(W.RCODE.NOERROR, W.AA);
  }

  // ---- the rest ----------------------------------------------------------------------------------------------------

  topic(responder: Responder, zone: Zone, asker: Asker): Uint8Array | null | 'missing' {
    const topic = topicUnder(responder.message.qname.bytes, zone.origin);
    if (topic === null) return null;
    if (topic === '' || asker.caller === null) return 'missing';
    const message = this.host.resources.topics.retained(asker.caller, topic);
    return message === null || typeof message === 'number' ? 'missing' : topicStrings(message.payload);
  }

  offers(asker: Asker): boolean {
    return this.recursion?.offers(asker) ?? false;
  }

  resolve(responder: Responder, asker: Asker, token: number): number | null {
    return this.recursion?.resolve(responder, asker, token) ?? null;
  }
}

/** The serial that a client of IXFR has, out of the SOA in its authority section (RFC 1995 §3); -1 when there is none. */
function serialAsked({ message }: Responder): number {
  const index = message.answers;
  if (message.authorities !== 1 || message.type[index] !== TYPE.SOA) return -1;
  const end = message.dataEnd[index]!;
  // Serial, refresh, retry, expire and minimum are the last twenty octets.
  if (end - message.dataAt[index]! < 22) return -1;
  return Buffer.from(message.bytes.buffer, message.bytes.byteOffset).readUInt32BE(end - 20);
}

/** One for all listeners of a server. */
const servers = new WeakMap<Names, DnsServer>();

export function serverOf(host: Host<Resources>): DnsServer {
  const { names } = host.resources;
  if (names === undefined) throw new RangeError('this server has no names');
  let server = servers.get(names);
  if (server === undefined) {
    server = new DnsServer(host as DnsHost, names);
    servers.set(names, server);
  }
  return server;
}

export function serveStream(pipe: Pipe, host: Host<Resources>): Session {
  const server = serverOf(host);
  return new DnsSession(pipe, server.responder, host.resources.accounts.nobody(pipe.peer), host.clock);
}

export function serveMux(mux: Mux, host: Host<Resources>): MuxSession {
  const server = serverOf(host);
  return new DoqSession(mux, server.responder, host.resources.accounts.nobody(mux.peer));
}

export function serveDatagrams(port: DatagramPort, host: Host<Resources>): DatagramSession {
  const server = serverOf(host);
  return new DnsDatagrams(port, server.responder, (local) => server.callerOf(local));
}
