// The client's end of the handshake (RFC 8446 §2, RFC 9001 §4): it says hello, checks who answers, and goes on with a
// session of before where it has a ticket.
import type { KeyObject } from 'node:crypto';
import { copyOf } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Clock } from '../../../core/time.ts';
import { APPLICATION, EARLY, HANDSHAKE, type HandshakeEvents, INITIAL, type Ticket } from '../crypto.ts';
import type { Suite } from '../protection/suites.ts';
import { verifyChain } from './chain.ts';
import { writeClientHello } from './client-hello.ts';
import { credentialOf, identityIn } from './credentials.ts';
import { Cursor, Extensions } from './cursor.ts';
import { Engine, type HandshakeOptions } from './engine.ts';
import { faults } from './faults.ts';
import type { Offer } from './groups.ts';
import { isFault, readProtocols, readServerHello, type ServerHello } from './hello.ts';
import { addressOctets } from './names.ts';
import { KeySchedule, ticketSecret } from './schedule.ts';
import { checkVerify, keyOf, readCertificates, readRequest, writeCertificate, writeVerify } from './shown.ts';
import { schemeFor } from './signatures.ts';
import {
  ALPN,
  CERTIFICATE,
  CERTIFICATE_REQUEST,
  CERTIFICATE_VERIFY,
  EARLY_DATA,
  ENCRYPTED_EXTENSIONS,
  FINISHED,
  NEW_SESSION_TICKET,
  QUIC_TRANSPORT_PARAMETERS,
  SERVER_HELLO,
  SERVER_NAME,
  SUPPORTED_GROUPS,
} from './wire.ts';

export interface ClientOptions extends HandshakeOptions {
  /** A session to go on with. */
  readonly ticket?: Ticket | null;
  /** Whether to try 0-RTT where the ticket allows it. */
  readonly early?: boolean;
  /** How many groups a key share is sent of, from the first on; the others cost a round trip. Two when absent. */
  readonly shares?: number;
}

/** What a ticket may be kept for (RFC 8446 §4.6.1), in seconds. */
const TICKET_SECONDS_MOST = 604_800;
const ALL_EARLY = 0xffff_ffff;
const NOTHING = new Uint8Array();
const NONE: ReadonlySet<number> = new Set();

type Awaited =
  | 'server-hello'
  | 'extensions'
  | 'request-or-certificate'
  | 'certificate'
  | 'verify'
  | 'finished'
  | 'tickets';

const EXPECTED: Readonly<Record<Awaited, readonly number[]>> = {
  'server-hello': [SERVER_HELLO],
  extensions: [ENCRYPTED_EXTENSIONS],
  'request-or-certificate': [CERTIFICATE_REQUEST, CERTIFICATE],
  certificate: [CERTIFICATE],
  verify: [CERTIFICATE_VERIFY],
  finished: [FINISHED],
  tickets: [NEW_SESSION_TICKET],
};

export class ClientHandshake extends Engine {
  private awaited: Awaited = 'server-hello';
  private offers: Map<number, Offer> = new Map();
  private ticket: Ticket | null = null;
  private tryEarly = false;
  private earlyOver = false;
  private retried = false;
  private cookie: Uint8Array | null = null;
  private retrySuite = 0;
  private grease = 0;
  private sessionId: Uint8Array = new Uint8Array();
  private sent: ReadonlySet<number> = NONE;
  private agreed: Suite | null = null;
  private secrets: { client: Buffer; server: Buffer } | null = null;
  private serverKey: KeyObject | null = null;
  private requested: readonly number[] | null = null;
  private resumption: Buffer | null = null;
  private serverParameters: Buffer = Buffer.alloc(0);

  constructor(options: ClientOptions, events: HandshakeEvents) {
    super(options, events);
    // Without the dot of the root (RFC 6066 §3).
    this.serverName = (options.policy.serverName ?? '').toLowerCase().replace(/\.$/, '');
  }

  private get own(): ClientOptions {
    return this.options;
  }

  begin(parameters: Uint8Array, clock: Clock): void {
    this.parameters = Buffer.from(parameters);
    this.options.entropy.fill(this.clientRandom);
    this.grease = this.random(1)[0]!;
    if (!this.quic) this.sessionId = this.random(32);
    this.ticket = this.usable(this.own.ticket ?? null, clock);
    this.tryEarly = this.quic && this.ticket?.early === true && this.own.early === true;
    for (const group of this.groups.slice(0, this.own.shares ?? 2)) this.offers.set(group.code, group.offer());
    this.hello(clock);
    if (!this.tryEarly) return;
    const suite = this.suites.find(({ code }) => code === this.ticket!.suite)!;
    const schedule = new KeySchedule(suite.hash, this.ticket!.secret);
    const secret = schedule.derive('c e traffic', this.transcript.digestWith(suite.hash, NOTHING, 0, 0));
    this.log('CLIENT_EARLY_TRAFFIC_SECRET', secret);
    const protection = this.protection(suite, false);
    protection.sealWith(secret);
    this.events.keys(EARLY, protection);
  }

  /** Null where the session was with another, is over, or agreed on what is not wanted now. */
  private usable(ticket: Ticket | null, { wall }: Clock): Ticket | null {
    if (ticket === null || ticket.serverName !== this.serverName || ticket.version !== this.options.version)
      return null;
    if (wall >= ticket.expires || wall < ticket.received) return null;
    if (!this.suites.some(({ code }) => code === ticket.suite)) return null;
    return ticket.alpn === '' || this.policy.alpn?.includes(ticket.alpn) === true ? ticket : null;
  }

  private hello(clock: Clock): void {
    const { ticket, policy } = this;
    const suite = ticket === null ? null : this.suites.find(({ code }) => code === ticket.suite)!;
    this.sent = writeClientHello(this.out, {
      random: this.clientRandom,
      sessionId: this.sessionId,
      grease: this.grease,
      suites: this.suites,
      groups: this.groups,
      offers: this.offers,
      alpn: policy.alpn ?? [],
      serverName: addressOctets(this.serverName) !== null ? '' : this.serverName,
      parameters: this.quic ? this.parameters : null,
      cookie: this.cookie,
      early: this.tryEarly && !this.retried,
      session: ticket === null || suite === null ? null : { ticket, suite },
      transcript: this.transcript,
      wall: clock.wall,
    });
    this.transcript.add(this.out.bytes, 0, this.out.length);
    this.flush(INITIAL);
  }

  protected expects(type: number): boolean {
    return EXPECTED[this.awaited].includes(type);
  }

  protected message(type: number, bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    const body = start + 4;
    switch (type) {
      case SERVER_HELLO:
        return this.serverHello(bytes, start, end, clock);
      case ENCRYPTED_EXTENSIONS:
        return this.keep(bytes, start, end, this.encryptedExtensions(bytes, body, end));
      case CERTIFICATE_REQUEST:
        return this.keep(bytes, start, end, this.certificateRequest(bytes, body, end));
      case CERTIFICATE:
        return this.keep(bytes, start, end, this.certificate(bytes, body, end, clock));
      case CERTIFICATE_VERIFY:
        return this.keep(bytes, start, end, this.certificateVerify(bytes, body, end));
      case FINISHED:
        return this.finished(bytes, start, end);
      default:
        return this.newTicket(bytes, body, end, clock);
    }
  }

  private keep(bytes: Uint8Array, start: number, end: number, fault: Fault | null): Fault | null {
    if (fault === null) this.transcript.add(bytes, start, end);
    return fault;
  }

  // ---- hellos ----

  private serverHello(bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    const hello = readServerHello(bytes, start + 4, end, this.sent);
    if (isFault(hello)) return hello;
    const { sessionId } = hello;
    if (!Buffer.from(bytes.subarray(sessionId.start, sessionId.end)).equals(this.sessionId)) return faults.sessionEcho;
    const suite = this.suites.find(({ code }) => code === hello.suite);
    if (suite === undefined || (this.retried && hello.suite !== this.retrySuite)) return faults.suite;
    if (hello.retry) return this.retry(hello, suite, bytes, start, end, clock);
    const offer = hello.group === null ? undefined : this.offers.get(hello.group);
    if (offer === undefined) return faults.group;
    const secret = offer.secret(bytes.subarray(hello.share!.start, hello.share!.end));
    if (secret === null) return faults.share;
    if (hello.chosen !== null && (hello.chosen !== 0 || this.ticketHash() !== suite.hash)) return faults.pskChoice;
    this.resumed = hello.chosen !== null;
    this.agreed = suite;
    this.suite = suite.code;
    this.group = this.groups.find(({ code }) => code === hello.group)!.name;
    this.transcript.begin(suite.hash);
    this.transcript.add(bytes, start, end);
    this.schedule = new KeySchedule(suite.hash, this.resumed ? this.ticket!.secret : null);
    this.schedule.advance(secret);
    this.offers.clear();
    this.secrets = this.handshakeSecrets(suite, 'client');
    this.awaited = 'extensions';
    return null;
  }

  private ticketHash(): string | null {
    return this.suites.find(({ code }) => code === this.ticket?.suite)?.hash ?? null;
  }

  private retry(
    hello: ServerHello,
    suite: Suite,
    bytes: Uint8Array,
    start: number,
    end: number,
    clock: Clock,
  ): Fault | null {
    if (this.retried) return faults.retryAgain;
    if (hello.group === null && hello.cookie === null) return faults.retryIdle;
    if (hello.group !== null) {
      const group = this.groups.find(({ code }) => code === hello.group);
      if (group === undefined) return faults.group;
      if (this.offers.has(group.code)) return faults.retryIdle;
      this.offers.clear();
      this.offers.set(group.code, group.offer());
    }
    if (hello.cookie !== null) this.cookie = copyOf(bytes, hello.cookie.start, hello.cookie.end);
    this.retried = true;
    this.retrySuite = hello.suite;
    this.refuseEarly();
    // A ticket whose hash is another cannot be bound to this transcript (RFC 8446 §4.1.4).
    if (this.ticketHash() !== suite.hash) this.ticket = null;
    this.transcript.begin(suite.hash);
    this.transcript.retry();
    this.transcript.add(bytes, start, end);
    this.hello(clock);
    return null;
  }

  private refuseEarly(): void {
    if (!this.tryEarly || this.earlyOver) return;
    this.earlyOver = true;
    this.events.earlyRefused();
  }

  private encryptedExtensions(bytes: Uint8Array, start: number, end: number): Fault | null {
    const body = new Cursor(bytes, start, end);
    const list = body.vector(2);
    if (!body.done) return faults.malformed;
    const extensions = new Extensions(list);
    if (!list.done) return faults.malformed;
    if (extensions.duplicate) return faults.duplicate;
    const allowed = [SERVER_NAME, SUPPORTED_GROUPS, ALPN, EARLY_DATA, QUIC_TRANSPORT_PARAMETERS];
    for (const type of extensions.types()) {
      if (allowed.includes(type) && this.sent.has(type)) continue;
      return this.sent.has(type) ? faults.notHere : faults.notOffered;
    }
    const fault = this.protocol(extensions.get(ALPN)) ?? this.earlyAnswer(extensions);
    if (fault !== null) return fault;
    const parameters = extensions.get(QUIC_TRANSPORT_PARAMETERS);
    if (parameters === null) {
      if (this.quic) return faults.noParameters;
    } else {
      this.serverParameters = copyOf(bytes, parameters.at, parameters.end);
      const refused = this.events.parameters(bytes, parameters.at, parameters.end);
      if (refused !== null) return refused;
    }
    this.awaited = this.resumed ? 'finished' : 'request-or-certificate';
    return null;
  }

  private protocol(content: Cursor | null): Fault | null {
    const names = readProtocols(content);
    if (names === null) return faults.malformed;
    const wanted = this.policy.alpn ?? [];
    if (names.length === 0) return this.quic && wanted.length > 0 ? faults.noProtocol : null;
    if (names.length !== 1 || !wanted.includes(names[0]!)) return faults.protocol;
    this.alpn = names[0]!;
    return null;
  }

  private earlyAnswer(extensions: Extensions): Fault | null {
    const content = extensions.get(EARLY_DATA);
    if (content === null) {
      this.refuseEarly();
      return null;
    }
    if (content.more) return faults.malformed;
    // With the session's own suite and protocol, or not at all (RFC 8446 §4.2.10).
    if (!this.resumed || this.suite !== this.ticket!.suite || this.alpn !== this.ticket!.alpn) return faults.early;
    this.early = true;
    return null;
  }

  // ---- who the server is ----

  private certificateRequest(bytes: Uint8Array, start: number, end: number): Fault | null {
    const schemes = readRequest(bytes, start, end);
    if (isFault(schemes)) return schemes;
    this.requested = schemes;
    this.awaited = 'certificate';
    return null;
  }

  private certificate(bytes: Uint8Array, start: number, end: number, { wall }: Clock): Fault | null {
    const chain = readCertificates(bytes, start, end, this.limits.chainMax);
    if (isFault(chain)) return chain;
    if (chain.length === 0) return faults.noChain;
    const key = keyOf(chain[0]!);
    if (isFault(key)) return key;
    const { policy } = this;
    const fault = verifyChain(chain, {
      authorities: policy.authorities ?? this.options.platform?.() ?? '',
      purpose: 'server',
      name: policy.serverName ?? null,
      wall,
    });
    if (fault !== null && policy.verify !== false) return fault;
    this.verifyError = fault?.text ?? null;
    this.serverKey = key;
    this.peerChain = chain;
    this.awaited = 'verify';
    return null;
  }

  private certificateVerify(bytes: Uint8Array, start: number, end: number): Fault | null {
    const fault = checkVerify(bytes, start, end, this.serverKey!, 'server', this.transcript.digest());
    if (fault === null) this.awaited = 'finished';
    return fault;
  }

  // ---- the end of it ----

  private finished(bytes: Uint8Array, start: number, end: number): Fault | null {
    const { client, server } = this.secrets!;
    const fault = this.checkFinished(server, bytes, start, end);
    if (fault !== null) return fault;
    const application = this.applicationSecrets();
    if (this.requested !== null) this.ownCertificate(this.requested);
    this.writeFinished(client);
    this.flush(HANDSHAKE);
    this.resumption = this.schedule!.derive('res master', this.transcript.digest());
    this.applicationKeys(this.agreed!, application.client, application.server);
    this.forget();
    this.secrets = this.serverKey = this.ticket = null;
    this.sent = NONE;
    this.reading = APPLICATION;
    this.awaited = 'tickets';
    this.complete = true;
    return null;
  }

  /** Our certificate where we have one that the server can check, else none. */
  private ownCertificate(schemes: readonly number[]): void {
    const identity = identityIn(this.policy);
    const credential = identity === null ? null : credentialOf(identity);
    const scheme = credential === null ? null : schemeFor(credential.key, schemes);
    this.wrote(writeCertificate(this.out, scheme === null ? null : credential));
    if (scheme === null) return;
    this.wrote(writeVerify(this.out, scheme, credential!.key, 'client', this.transcript.digest()));
  }

  private newTicket(bytes: Uint8Array, start: number, end: number, { wall }: Clock): Fault | null {
    const body = new Cursor(bytes, start, end);
    const seconds = Math.min(body.u32(), TICKET_SECONDS_MOST);
    const ageAdd = body.u32();
    const nonce = body.vector(1);
    const ticket = body.vector(2, 1);
    const list = body.vector(2);
    if (!body.done) return faults.malformed;
    const extensions = new Extensions(list);
    if (!list.done) return faults.malformed;
    if (extensions.duplicate) return faults.duplicate;
    const early = extensions.get(EARLY_DATA);
    const most = early?.u32() ?? 0;
    if (early?.done === false) return faults.malformed;
    if (this.quic && early !== null && most !== ALL_EARLY) return faults.ticketEarly;
    if (seconds === 0) return null;
    this.events.ticket({
      serverName: this.serverName,
      alpn: this.alpn,
      version: this.options.version,
      suite: this.suite,
      secret: ticketSecret(this.agreed!.hash, this.resumption!, nonce.rest()),
      ticket: copyOf(bytes, ticket.at, ticket.end),
      ageAdd,
      received: wall,
      expires: wall + seconds * 1_000,
      early: early !== null,
      parameters: this.serverParameters,
    });
    return null;
  }
}
