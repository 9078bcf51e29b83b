// What both ends of a handshake share: messages out of bytes however they are cut, the transcript, keys of each level, the
// log of secrets. What a message means is the end's own matter.
import { ByteWriter } from '../../../bytes/writer.ts';
import type { Fault } from '../../../core/fault.ts';
import { bindLimits } from '../../../core/limits.ts';
import type { Clock, Entropy } from '../../../core/time.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import {
  APPLICATION,
  EARLY,
  HANDSHAKE,
  type Handshake,
  type HandshakeEvents,
  INITIAL,
  type Level,
  type Version,
} from '../crypto.ts';
import { type Ciphers, PLAIN_CIPHERS } from '../protection/ciphers.ts';
import { LevelProtection } from '../protection/protection.ts';
import { SUITES, type Suite } from '../protection/suites.ts';
import { faults } from './faults.ts';
import { GROUPS, type Group } from './groups.ts';
import { messageBytes } from './hello.ts';
import { type TlsLimits, tlsLimits } from './limits.ts';
import { finishedData, type KeySchedule, sameBytes, Transcript } from './schedule.ts';
import { FINISHED } from './wire.ts';
import { closeMessage, openMessage } from './writing.ts';

export interface HandshakeOptions {
  readonly policy: TlsPolicy;
  /** Read when keys are made: it may change until the client's parameters were told (RFC 9368 §2.3). */
  readonly version: Version;
  readonly entropy: Entropy;
  readonly ciphers?: Ciphers;
  /** Key exchanges by preference. */
  readonly groups?: readonly Group[];
  /** Cipher suites by preference. */
  readonly suites?: readonly Suite[];
  readonly limits?: TlsLimits;
  /** PEM of the authorities that count where the policy names none; without it, none do. */
  readonly platform?: () => string;
  /** `records`: over a stream, with the record layer of TLS and without transport parameters. QUIC when absent. */
  readonly carrier?: 'quic' | 'records';
}

const LIMITS = bindLimits(tlsLimits);
const HEADER_BYTES = 4;
const NOTHING = new Uint8Array();
/** More than all that one end says at one level: a chain of certificates and what stands around it. */
const FLIGHT_MOST = 1_048_576;

export abstract class Engine implements Handshake {
  complete = false;
  alpn = '';
  serverName = '';
  suite = 0;
  group = '';
  resumed = false;
  early = false;
  peerChain: readonly Uint8Array[] = [];
  verifyError: string | null = null;

  protected readonly options: HandshakeOptions;
  protected readonly policy: TlsPolicy;
  protected readonly events: HandshakeEvents;
  protected readonly limits: TlsLimits;
  protected readonly groups: readonly Group[];
  protected readonly suites: readonly Suite[];
  protected readonly quic: boolean;
  protected transcript = new Transcript();
  protected readonly out = new ByteWriter(FLIGHT_MOST);
  protected schedule: KeySchedule | null = null;
  protected parameters: Uint8Array = NOTHING;
  /** The level at which the peer's next message comes. */
  protected reading: Level = INITIAL;
  /** Of the ClientHello; secrets are logged under it. */
  protected readonly clientRandom = Buffer.alloc(32);
  private readonly held: ByteWriter;
  private readonly application: { protection: LevelProtection | null } = { protection: null };
  private fault: Fault | null = null;

  constructor(options: HandshakeOptions, events: HandshakeEvents) {
    this.options = options;
    this.policy = options.policy;
    this.events = events;
    this.limits = options.limits ?? LIMITS;
    this.groups = options.groups ?? GROUPS;
    this.suites = options.suites ?? SUITES;
    this.quic = options.carrier !== 'records';
    this.held = new ByteWriter(this.limits.handshakeBytesMax + HEADER_BYTES);
  }

  abstract begin(parameters: Uint8Array, clock: Clock): void;

  /** Whether a message of this type may come now. */
  protected abstract expects(type: number): boolean;

  /** A whole message, header and all, in borrowed bytes. It is not in the transcript yet. */
  protected abstract message(type: number, bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null;

  receive(level: Level, input: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    this.fault ??= this.take(level, input, start, end, clock);
    return this.fault;
  }

  private take(level: Level, input: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    if (level === EARLY) return faults.earlyCrypto;
    if (level !== this.reading) return faults.wrongLevel;
    const { held } = this;
    let fault: Fault | null = null;
    for (let at = start; at < end && fault === null; ) {
      if (this.reading !== level) return faults.leftover;
      if (held.length === 0 && end - at >= HEADER_BYTES && messageBytes(input, at) <= end - at) {
        const size = messageBytes(input, at);
        fault = this.header(input, at) ?? this.whole(input, at, at + size, clock);
        at += size;
        continue;
      }
      const wanted = held.length < HEADER_BYTES ? HEADER_BYTES : messageBytes(held.bytes, 0);
      const size = Math.min(wanted - held.length, end - at);
      held.copy(input, at, at + size);
      at += size;
      if (held.length === HEADER_BYTES) fault = this.header(held.bytes, 0);
      if (fault === null && held.length >= HEADER_BYTES && held.length === messageBytes(held.bytes, 0)) {
        fault = this.whole(held.bytes, 0, held.length, clock);
        held.clear();
      }
    }
    if (fault !== null) held.clear();
    return fault;
  }

  /** What can be said against a message by its first four bytes. */
  private header(bytes: Uint8Array, at: number): Fault | null {
    if (!this.expects(bytes[at]!)) return faults.unexpected;
    return messageBytes(bytes, at) - HEADER_BYTES > this.limits.handshakeBytesMax ? faults.tooLong : null;
  }

  private whole(bytes: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    return this.message(bytes[start]!, bytes, start, end, clock);
  }

  // ---- what is sent ----

  /** A message is written: it belongs to the transcript from here on. */
  protected wrote(at: number): void {
    closeMessage(this.out, at);
    this.transcript.add(this.out.bytes, at - HEADER_BYTES, this.out.length);
  }

  protected flush(level: Level): void {
    this.events.send(level, this.out.bytes, 0, this.out.length);
    this.out.clear();
  }

  protected writeFinished(base: Uint8Array): void {
    const data = finishedData(this.schedule!.hash, base, this.transcript.digest());
    const at = openMessage(this.out, FINISHED);
    this.out.copy(data, 0, data.length);
    this.wrote(at);
  }

  /** The peer's Finished, held against what it has to be; afterwards it is in the transcript. */
  protected checkFinished(base: Uint8Array, bytes: Uint8Array, start: number, end: number): Fault | null {
    const { hash, bytes: size } = this.schedule!;
    if (end - start - HEADER_BYTES !== size) return faults.malformed;
    const wanted = finishedData(hash, base, this.transcript.digest());
    if (!sameBytes(wanted, bytes.subarray(start + HEADER_BYTES, end))) return faults.finished;
    this.transcript.add(bytes, start, end);
    return null;
  }

  // ---- keys ----

  protected log(label: string, secret: Uint8Array): void {
    const { keyLog } = this.policy;
    if (keyLog === undefined) return;
    const line = `${label} ${this.clientRandom.toString('hex')} ${Buffer.from(secret).toString('hex')}\n`;
    keyLog(Buffer.from(line));
  }

  protected protection(suite: Suite, phased: boolean, version = this.options.version): LevelProtection {
    return new LevelProtection(version, suite, phased, this.options.ciphers ?? PLAIN_CIPHERS);
  }

  /** The secrets of both sides' handshake packets, when ServerHello is in the transcript. */
  protected handshakeSecrets(suite: Suite, sealsAs: 'client' | 'server'): { client: Buffer; server: Buffer } {
    const digest = this.transcript.digest();
    const client = this.schedule!.derive('c hs traffic', digest);
    const server = this.schedule!.derive('s hs traffic', digest);
    this.log('CLIENT_HANDSHAKE_TRAFFIC_SECRET', client);
    this.log('SERVER_HANDSHAKE_TRAFFIC_SECRET', server);
    const protection = this.protection(suite, false);
    protection.sealWith(sealsAs === 'client' ? client : server);
    protection.openWith(sealsAs === 'client' ? server : client);
    this.events.keys(HANDSHAKE, protection);
    this.reading = HANDSHAKE;
    return { client, server };
  }

  /** The secrets of both sides' 1-RTT packets, when the server's Finished is in the transcript. */
  protected applicationSecrets(): { client: Buffer; server: Buffer } {
    this.schedule!.advance(null);
    const digest = this.transcript.digest();
    const client = this.schedule!.derive('c ap traffic', digest);
    const server = this.schedule!.derive('s ap traffic', digest);
    this.log('CLIENT_TRAFFIC_SECRET_0', client);
    this.log('SERVER_TRAFFIC_SECRET_0', server);
    return { client, server };
  }

  /** Takes secrets of 1-RTT packets; null for a direction that does not come now. */
  protected applicationKeys(suite: Suite, sealing: Uint8Array | null, opening: Uint8Array | null): void {
    const protection = (this.application.protection ??= this.protection(suite, true));
    if (sealing !== null) protection.sealWith(sealing);
    if (opening !== null) protection.openWith(opening);
    this.events.keys(APPLICATION, protection);
  }

  /** Nothing of the conversation is needed any more: a connection may be idle for hours. */
  protected forget(): void {
    this.schedule?.forget();
    this.schedule = null;
    this.transcript = new Transcript();
    this.parameters = NOTHING;
  }

  protected random(bytes: number): Buffer {
    const random = Buffer.alloc(bytes);
    this.options.entropy.fill(random);
    return random;
  }
}
