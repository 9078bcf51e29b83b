// The server's end of the handshake (RFC 8446 §2, RFC 9001 §4): it picks from what a client offers, shows a certificate or
// goes on with a session of before, and gives tickets for the next.
import { hash, type KeyObject } from 'node:crypto';
import { view } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Clock } from '../../../core/time.ts';
import {
  APPLICATION,
  EARLY,
  type Ends,
  HANDSHAKE,
  type HandshakeEvents,
  INITIAL,
  VERSION_1,
  type Version,
} from '../crypto.ts';
import { CHACHA20_POLY1305_SHA256, type Suite } from '../protection/suites.ts';
import { endOf, verifyChain } from './chain.ts';
import { writeProtocols } from './client-hello.ts';
import { type Credential, credentialOf, identityIn } from './credentials.ts';
import { Engine, type HandshakeOptions } from './engine.ts';
import { faults } from './faults.ts';
import type { Group } from './groups.ts';
import { type ClientHello, isFault, readClientHello } from './hello.ts';
import { termsOf } from './parameters.ts';
import { finishedData, KeySchedule, sameBytes, ticketSecret } from './schedule.ts';
import { checkVerify, keyOf, readCertificates, writeCertificate, writeRequest, writeVerify } from './shown.ts';
import { type Scheme, schemeFor } from './signatures.ts';
import type { EarlyGuard, Session, Tickets } from './tickets.ts';
import {
  ALPN,
  CERTIFICATE,
  CERTIFICATE_VERIFY,
  CLIENT_HELLO,
  EARLY_DATA,
  ENCRYPTED_EXTENSIONS,
  FINISHED,
  KEY_SHARE,
  LEGACY_VERSION,
  NEW_SESSION_TICKET,
  PRE_SHARED_KEY,
  PSK_DHE_KE,
  QUIC_TRANSPORT_PARAMETERS,
  RETRY_RANDOM,
  SERVER_HELLO,
  SERVER_NAME,
  SUPPORTED_VERSIONS,
  TLS_1_3,
} from './wire.ts';
import { close, closeMessage, extension, open, openExtension, openMessage, vector } from './writing.ts';

export interface ServerOptions extends HandshakeOptions {
  readonly ends?: Ends;
  /** Seals and opens tickets; without it no session is gone on with. */
  readonly tickets?: Tickets;
  /** Keeps 0-RTT from being taken twice; without it none is taken. */
  readonly guard?: EarlyGuard;
}

/** All that QUIC knows (RFC 9001 §4.6.1). */
const ALL_EARLY = Buffer.from('ffffffff', 'hex');
const NOTHING = new Uint8Array();

type Awaited = 'hello' | 'second-hello' | 'certificate' | 'verify' | 'finished' | 'nothing';

const EXPECTED: Readonly<Record<Awaited, number>> = {
  hello: CLIENT_HELLO,
  'second-hello': CLIENT_HELLO,
  certificate: CERTIFICATE,
  verify: CERTIFICATE_VERIFY,
  finished: FINISHED,
  nothing: -1,
};

export class ServerHandshake extends Engine {
  private awaited: Awaited = 'hello';
  private agreed: Suite | null = null;
  /** Of a second hello. */
  private askedGroup: Group | null = null;
  private session: Session | null = null;
  /** Its place in the client's list. */
  private chosenAt = 0;
  private secrets: { client: Buffer; server: Buffer } | null = null;
  private applicationClient: Buffer | null = null;
  private clientKey: KeyObject | null = null;
  private hasTicketModes = false;
  /** The version that the client began with: of its tickets and its 0-RTT (RFC 9369 §5). */
  private offered: Version = VERSION_1;
  /** A digest of its transport parameters. */
  private told: Uint8Array = NOTHING;
  private terms: Uint8Array = NOTHING;

  constructor(options: ServerOptions, events: HandshakeEvents) {
    super(options, events);
  }

  private get own(): ServerOptions {
    return this.options;
  }

  begin(parameters: Uint8Array, _clock: Clock): void {
    this.parameters = Buffer.from(parameters);
    this.terms = termsOf(this.parameters);
  }

  protected expects(type: number): boolean {
    return EXPECTED[this.awaited] === type;
  }

  protected message(type: number, bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    switch (type) {
      case CLIENT_HELLO:
        return this.clientHello(bytes, start, end, clock);
      case CERTIFICATE:
        return this.certificate(bytes, start, end, clock);
      case CERTIFICATE_VERIFY:
        return this.certificateVerify(bytes, start, end);
      default:
        return this.finished(bytes, start, end, clock);
    }
  }

  // ---- what the client offers ----

  private clientHello(bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    const hello = readClientHello(bytes, start + 4, end);
    if (isFault(hello)) return hello;
    const again = this.awaited === 'second-hello';
    const fault = this.offends(hello, again, bytes);
    if (fault !== null) return fault;
    this.clientRandom.set(bytes.subarray(hello.random.start, hello.random.end));
    if (!again) this.offered = this.options.version;
    this.serverName = hello.serverName ?? '';
    this.hasTicketModes = hello.modes?.includes(PSK_DHE_KE) === true;
    const protocolFault = this.pickProtocol(hello);
    if (protocolFault !== null) return protocolFault;
    const found = this.findSession(hello, bytes, clock);
    const suite = this.agreed ?? found?.session.suite ?? this.pickSuite(hello);
    if (suite === null) return faults.noSuite;
    if (again && !hello.suites.includes(suite.code)) return faults.retryIgnored;
    const group = this.askedGroup ?? this.pickGroup(hello);
    if (group === null) return faults.noGroup;
    const refused = this.tellParameters(hello, bytes, again);
    if (refused !== null) return refused;
    const span = hello.shares!.get(group.code);
    if (span === undefined) return this.retry(suite, group, hello, bytes, start, end);
    if (found !== null) {
      const wrong = this.checkBinder(found, hello, bytes, start);
      if (wrong !== null) return wrong;
      this.session = found.session;
      this.chosenAt = found.at;
    }
    const identity = this.session === null ? this.pickIdentity(hello) : null;
    if (identity !== null && isFault(identity)) return identity;
    const answer = group.answer(bytes.subarray(span.start, span.end));
    if (answer === null) return faults.share;
    this.agreed = suite;
    this.suite = suite.code;
    this.group = group.name;
    this.resumed = this.session !== null;
    this.transcript.begin(suite.hash);
    this.transcript.add(bytes, start, end);
    this.schedule = new KeySchedule(suite.hash, this.session?.secret ?? null);
    if (!again && found !== null) this.takeEarly(hello, found, bytes, clock);
    this.schedule.advance(answer.secret);
    this.flight(hello, bytes, group, answer.share, identity);
    return null;
  }

  /** What is wrong with a hello whatever we would pick. */
  private offends(hello: ClientHello, again: boolean, bytes: Uint8Array): Fault | null {
    if (!hello.versions.includes(TLS_1_3)) return faults.version;
    if (this.quic && hello.sessionId.end > hello.sessionId.start) return faults.sessionId;
    if (hello.groups === null || hello.shares === null) return faults.noShares;
    if (hello.schemes === null) return faults.noAlgorithms;
    for (const code of hello.shares.keys()) if (!hello.groups.includes(code)) return faults.shareUnlisted;
    if (hello.offered !== null && hello.modes === null) return faults.noModes;
    if (hello.early && hello.offered === null) return faults.early;
    if (this.quic && hello.parameters === null) return faults.noParameters;
    if (!again) return null;
    // One share, of the group that was asked for, and no 0-RTT (RFC 8446 §4.1.2).
    if (hello.early || hello.shares.size !== 1 || !hello.shares.has(this.askedGroup!.code)) return faults.retryIgnored;
    const same = this.clientRandom.equals(view(bytes, hello.random.start, hello.random.end));
    return same ? null : faults.retryIgnored;
  }

  /** Told of the first hello; the second has the same (RFC 8446 §4.1.2). */
  private tellParameters(hello: ClientHello, bytes: Uint8Array, again: boolean): Fault | null {
    if (hello.parameters === null) return null;
    const { start, end } = hello.parameters;
    const digest = hash('sha256', view(bytes, start, end), 'buffer');
    if (again) return sameBytes(digest, this.told) ? null : faults.retryIgnored;
    this.told = digest;
    return this.events.parameters(bytes, start, end);
  }

  private pickProtocol({ alpn }: ClientHello): Fault | null {
    const own = this.policy.alpn ?? [];
    if (own.length === 0) return null;
    const found = own.find((name) => alpn.includes(name));
    if (found !== undefined) this.alpn = found;
    else if (this.quic || alpn.length > 0) return faults.noProtocol;
    return null;
  }

  private pickSuite({ suites }: ClientHello): Suite | null {
    const offered = suites.filter((code) => this.suites.some((suite) => suite.code === code));
    // Who has it first has no AES in hardware.
    if (offered[0] === CHACHA20_POLY1305_SHA256) return this.suites.find(({ code }) => code === offered[0])!;
    return this.suites.find(({ code }) => offered.includes(code)) ?? null;
  }

  /** The best that a share came of; else the best that is listed, for another hello. */
  private pickGroup({ groups, shares }: ClientHello): Group | null {
    return (
      this.groups.find(({ code }) => shares!.has(code)) ??
      this.groups.find(({ code }) => groups!.includes(code)) ??
      null
    );
  }

  private pickIdentity(hello: ClientHello): { credential: Credential; scheme: Scheme } | Fault {
    const { policy } = this;
    const identity =
      policy.identities === undefined
        ? identityIn(policy)
        : policy.identities.pick(hello.serverName, this.own.ends?.local ?? null, hello.alpn);
    if (identity === null) return faults.nameUnknown;
    const credential = credentialOf(identity);
    if (credential === null) return faults.internal;
    const scheme = schemeFor(credential.key, hello.schemes!);
    return scheme === null ? faults.noScheme : { credential, scheme };
  }

  // ---- sessions of before ----

  /** The first ticket that is ours and fits this hello. Its binder is not checked yet. */
  private findSession(
    hello: ClientHello,
    bytes: Uint8Array,
    { wall }: Clock,
  ): { readonly session: Session; readonly at: number } | null {
    const { tickets } = this.own;
    if (tickets === undefined || hello.offered === null || !this.hasTicketModes) return null;
    for (const [at, span] of hello.offered.tickets.entries()) {
      const session = tickets.open(bytes, span.start, span.end);
      if (session !== null && this.fits(session, hello, wall)) return { session, at };
    }
    return null;
  }

  private fits(session: Session, hello: ClientHello, wall: number): boolean {
    if (session.version !== this.offered || wall < session.issued - 1_000 || wall >= session.expires) return false;
    if (session.serverName !== this.serverName || !hello.suites.includes(session.suite.code)) return false;
    if (this.agreed !== null && this.agreed !== session.suite) return false;
    if (!this.suites.includes(session.suite)) return false;
    const { policy } = this;
    const wanted = policy.clientCertificate ?? 'none';
    if (session.chain.length === 0) return wanted !== 'required';
    if (wanted === 'none') return false;
    return (policy.clientCertificates?.refuse(session.chain) ?? null) === null;
  }

  private checkBinder(
    { session, at }: { readonly session: Session; readonly at: number },
    hello: ClientHello,
    bytes: Uint8Array,
    start: number,
  ): Fault | null {
    const { hash } = session.suite;
    const { bindersAt, binders } = hello.offered!;
    const key = new KeySchedule(hash, session.secret).binderKey();
    const wanted = finishedData(hash, key, this.transcript.digestWith(hash, bytes, start, bindersAt));
    const { start: from, end } = binders[at]!;
    return sameBytes(wanted, bytes.subarray(from, end)) ? null : faults.binder;
  }

  /** 0-RTT is taken with the first ticket, on the terms of its session, in time and once (RFC 8446 §4.2.10, §8). */
  private takeEarly(
    hello: ClientHello,
    { session, at }: { readonly session: Session; readonly at: number },
    bytes: Uint8Array,
    { wall }: Clock,
  ): void {
    const { guard } = this.own;
    if (!hello.early || guard === undefined || !this.quic || at !== 0 || !session.early) return;
    if (session.alpn !== this.alpn || !sameBytes(this.terms, session.terms)) return;
    const { age } = hello.offered!.tickets[0]!;
    const said = session.issued + ((age - session.ageAdd) >>> 0);
    const { start, end } = hello.offered!.binders[0]!;
    if (!guard.take(bytes.subarray(start, end), said, wall)) return;
    this.early = true;
    const secret = this.schedule!.derive('c e traffic', this.transcript.digest());
    this.log('CLIENT_EARLY_TRAFFIC_SECRET', secret);
    const protection = this.protection(session.suite, false, this.offered);
    protection.openWith(secret);
    this.events.keys(EARLY, protection);
  }

  // ---- what is answered ----

  private retry(
    suite: Suite,
    group: Group,
    hello: ClientHello,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Fault | null {
    this.agreed = suite;
    this.askedGroup = group;
    this.transcript.begin(suite.hash);
    this.transcript.add(bytes, start, end);
    this.transcript.retry();
    const at = this.openServerHello(RETRY_RANDOM, hello, bytes, suite);
    const extensions = open(this.out, 2);
    this.writeVersion();
    const share = openExtension(this.out, KEY_SHARE);
    this.out.u16(group.code);
    close(this.out, share, 2);
    close(this.out, extensions, 2);
    this.wrote(at);
    this.flush(INITIAL);
    this.awaited = 'second-hello';
    return null;
  }

  private openServerHello(random: Uint8Array, hello: ClientHello, bytes: Uint8Array, suite: Suite): number {
    const { out } = this;
    const at = openMessage(out, SERVER_HELLO);
    out.u16(LEGACY_VERSION);
    out.copy(random, 0, random.length);
    vector(out, 1, bytes.subarray(hello.sessionId.start, hello.sessionId.end));
    out.u16(suite.code);
    out.u8(0);
    return at;
  }

  private writeVersion(): void {
    const version = openExtension(this.out, SUPPORTED_VERSIONS);
    this.out.u16(TLS_1_3);
    close(this.out, version, 2);
  }

  /** ServerHello, and all behind it up to Finished. */
  private flight(
    hello: ClientHello,
    bytes: Uint8Array,
    group: Group,
    share: Uint8Array,
    identity: { credential: Credential; scheme: Scheme } | null,
  ): void {
    const { out } = this;
    const at = this.openServerHello(this.random(32), hello, bytes, this.agreed!);
    const extensions = open(out, 2);
    this.writeVersion();
    const key = openExtension(out, KEY_SHARE);
    out.u16(group.code);
    vector(out, 2, share);
    close(out, key, 2);
    if (this.session !== null) extension(out, PRE_SHARED_KEY, Uint8Array.of(0, this.chosenAt));
    close(out, extensions, 2);
    this.wrote(at);
    this.flush(INITIAL);
    this.secrets = this.handshakeSecrets(this.agreed!, 'server');
    this.writeEncryptedExtensions(hello);
    const asks = identity !== null && (this.policy.clientCertificate ?? 'none') !== 'none';
    if (identity !== null) {
      if (asks) this.wrote(writeRequest(out));
      this.wrote(writeCertificate(out, identity.credential));
      const { key: own } = identity.credential;
      this.wrote(writeVerify(out, identity.scheme, own, 'server', this.transcript.digest()));
    } else this.peerChain = this.session?.chain ?? [];
    this.writeFinished(this.secrets.server);
    this.flush(HANDSHAKE);
    const application = this.applicationSecrets();
    this.applicationClient = application.client;
    this.applicationKeys(this.agreed!, application.server, null);
    this.awaited = asks ? 'certificate' : 'finished';
  }

  private writeEncryptedExtensions(hello: ClientHello): void {
    const { out } = this;
    const at = openMessage(out, ENCRYPTED_EXTENSIONS);
    const extensions = open(out, 2);
    if (hello.serverName !== null && this.session === null) extension(out, SERVER_NAME, NOTHING);
    if (this.alpn !== '') writeProtocols(out, openExtension(out, ALPN), [this.alpn]);
    if (this.quic) extension(out, QUIC_TRANSPORT_PARAMETERS, this.parameters);
    if (this.early) extension(out, EARLY_DATA, NOTHING);
    close(out, extensions, 2);
    this.wrote(at);
  }

  // ---- who the client is ----

  private certificate(bytes: Uint8Array, start: number, end: number, { wall }: Clock): Fault | null {
    const { policy } = this;
    const required = policy.clientCertificate === 'required';
    const chain = readCertificates(bytes, start + 4, end, this.limits.chainMax);
    if (isFault(chain)) return chain;
    this.transcript.add(bytes, start, end);
    if (chain.length === 0) {
      if (required) return faults.certificateRequired;
      this.awaited = 'finished';
      return null;
    }
    const key = keyOf(chain[0]!);
    if (isFault(key)) return key;
    const authorities = policy.clientCertificates?.authorities ?? policy.authorities ?? '';
    let fault = verifyChain(chain, { authorities, purpose: 'client', name: null, wall });
    if (fault === null && (policy.clientCertificates?.refuse(chain) ?? null) !== null) fault = faults.refused;
    if (fault !== null && required) return fault;
    // One that is not good counts as none where none is needed.
    if (fault === null) this.peerChain = chain;
    this.clientKey = key;
    this.awaited = 'verify';
    return null;
  }

  private certificateVerify(bytes: Uint8Array, start: number, end: number): Fault | null {
    const fault = checkVerify(bytes, start + 4, end, this.clientKey!, 'client', this.transcript.digest());
    if (fault !== null) return fault;
    this.transcript.add(bytes, start, end);
    this.clientKey = null;
    this.awaited = 'finished';
    return null;
  }

  // ---- the end of it ----

  private finished(bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    const fault = this.checkFinished(this.secrets!.client, bytes, start, end);
    if (fault !== null) return fault;
    const resumption = this.schedule!.derive('res master', this.transcript.digest());
    this.reading = APPLICATION;
    this.awaited = 'nothing';
    this.complete = true;
    this.applicationKeys(this.agreed!, null, this.applicationClient);
    this.giveTicket(resumption, clock);
    this.forget();
    this.secrets = this.applicationClient = this.session = this.askedGroup = null;
    this.terms = this.told = NOTHING;
    return null;
  }

  private giveTicket(resumption: Uint8Array, { wall }: Clock): void {
    const { tickets, guard } = this.own;
    if (tickets === undefined || !this.hasTicketModes) return;
    const suite = this.agreed!;
    const early = this.quic && guard !== undefined;
    // One ticket a connection: its nonce need not tell it from others.
    const nonce = Uint8Array.of(0);
    const ageAdd = this.random(4).readUInt32BE(0);
    const lifeMs = this.limits.ticketLifeMs;
    const ticket = tickets.seal({
      version: this.options.version,
      suite,
      issued: Math.floor(wall),
      expires: Math.floor(this.expiry(wall + lifeMs)),
      ageAdd,
      early,
      secret: ticketSecret(suite.hash, resumption, nonce),
      alpn: this.alpn,
      serverName: this.serverName,
      terms: this.terms,
      chain: this.peerChain,
    });
    if (ticket === null) return;
    const { out } = this;
    const at = openMessage(out, NEW_SESSION_TICKET);
    out.u32(Math.floor(lifeMs / 1_000));
    out.u32(ageAdd);
    vector(out, 1, nonce);
    vector(out, 2, ticket);
    const extensions = open(out, 2);
    if (early) extension(out, EARLY_DATA, ALL_EARLY);
    close(out, extensions, 2);
    closeMessage(out, at);
    this.flush(APPLICATION);
  }

  /** Not beyond the client's own certificate. */
  private expiry(wall: number): number {
    const own = this.peerChain[0];
    return own === undefined ? wall : Math.min(wall, endOf(own));
  }
}
