// What the two ends of a connection agree on in the handshake: transport parameters, the version (RFC 9368), keys, 0-RTT. The
// handshake itself is in `tls/`; what it tells goes from here to the connection.
import { copyOf } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Address } from '../../../core/peer.ts';
import { defaultParameters, isFault, type Parameters, readParameters, writeParameters } from '../codec/parameters.ts';
import {
  EARLY,
  type Handshake,
  type HandshakeEvents,
  INITIAL,
  type Level,
  type Protection,
  type Ticket,
  type Version,
} from '../crypto.ts';
import { transportFaults as faults } from '../faults.ts';
import { APPLICATION_SPACE } from '../recovery/recovery.ts';
import { clientHandshake, serverHandshake } from '../tls/index.ts';
import type { QuicConnection } from './connection.ts';
import type { DialOptions } from './options.ts';

export class Agreement implements HandshakeEvents {
  readonly own: Parameters;
  private readonly line: QuicConnection;
  private readonly dial: DialOptions;

  constructor(line: QuicConnection, dial: DialOptions) {
    this.line = line;
    this.dial = dial;
    this.own = this.ownParameters();
  }

  clientSide(): Handshake {
    const { policy, entropy, ciphers, suites, platform } = this.line.options;
    const options = {
      policy,
      entropy,
      version: this.line.version,
      ticket: this.dial.ticket ?? null,
      early: this.dial.early === true,
      ...(ciphers && { ciphers }),
      ...(suites && { suites }),
      ...(platform && { platform }),
    };
    return clientHandshake(this.live(options), this);
  }

  serverSide(remote: Address, local: Address | null): Handshake {
    const { policy, entropy, ciphers, suites } = this.line.options;
    const { tickets, guard } = this.line.home;
    const options = {
      policy,
      entropy,
      version: this.line.version,
      ends: { remote, local },
      ...(ciphers && { ciphers }),
      ...(suites && { suites }),
      ...(tickets && { tickets }),
      ...(guard && { guard }),
    };
    return serverHandshake(this.live(options), this);
  }

  /** The version may change while the handshake runs (RFC 9368 §2.3). */
  private live<Options extends { version: Version }>(options: Options): Options {
    return Object.defineProperty(options, 'version', { get: () => this.line.version });
  }

  private ownParameters(): Parameters {
    const { limits, versions, preferred, migration } = this.line.options;
    const own: Parameters = {
      ...defaultParameters(),
      initialSource: this.line.firstId,
      idleMs: limits.idleMs,
      udpPayloadMax: 65_527,
      dataMax: limits.connectionWindowBytes,
      streamDataLocalMax: limits.streamWindowBytes,
      streamDataRemoteMax: limits.streamWindowBytes,
      streamDataOneWayMax: limits.streamWindowBytes,
      streamsTwoWayMax: limits.streamsMax,
      streamsOneWayMax: limits.oneWayStreamsMax,
      noMigration: !migration,
      idsMax: limits.idsMax,
      datagramMax: limits.datagramBytesMax,
      greaseBit: true,
      versionChosen: this.line.version,
      versions,
    };
    if (this.line.isClient) return own;
    own.originalDestination = this.line.originalId;
    own.retrySource = this.line.retryId;
    own.resetToken = this.line.home.resetToken(this.line.firstId);
    if (preferred !== undefined) {
      const id = this.line.ownIds.second();
      own.preferred = {
        ...preferred,
        v4: preferred.v4,
        v6: preferred.v6,
        id,
        resetToken: this.line.home.resetToken(id),
      };
    }
    return own;
  }

  // ---- HandshakeEvents ---------------------------------------------------------------------------------------------

  send(level: Level, bytes: Uint8Array, start: number, end: number): void {
    this.line.crypto[level]!.output.push(copyOf(bytes, start, end), null);
    this.line.home.touch(this.line);
  }

  keys(level: Level, protection: Protection): void {
    this.line.protections[level] = protection;
  }

  parameters(bytes: Uint8Array, start: number, end: number): Fault | null {
    const read = readParameters(bytes, start, end, !this.line.isClient);
    if (isFault(read)) return read;
    const same = (one: Uint8Array | null, other: Uint8Array | null) =>
      one === null || other === null ? one === other : Buffer.compare(one, other) === 0;
    // RFC 9000 §7.3.
    if (!same(read.initialSource, this.line.peersIds.id)) return faults.connectionIdsDiffer;
    if (
      this.line.isClient &&
      !(same(read.originalDestination, this.line.originalId) && same(read.retrySource, this.line.retryId))
    )
      return faults.connectionIdsDiffer;
    const fault = this.line.isClient ? this.checkVersion(read) : this.chooseVersion(read);
    if (fault !== null) return fault;
    this.line.peers = read;
    this.line.recovery.ackDelayMs = read.ackDelayMs;
    this.line.streams.allow(read);
    if (read.resetToken !== null) this.line.peersIds.setFirstToken(read.resetToken);
    return null;
  }

  /** RFC 9368 §4: what is in use is what the server says that it chose, and not what somebody between made of it. */
  private checkVersion(read: Parameters): Fault | null {
    if (read.versionChosen === 0)
      return this.line.version === this.line.originalVersion && !this.line.negotiated ? null : faults.versionForced;
    if (read.versionChosen !== this.line.version) return faults.versionForced;
    if (!this.line.negotiated) return null;
    const best = this.line.options.versions.find((version) => read.versions.includes(version));
    return best === this.line.originalVersion ? null : faults.versionForced;
  }

  private chooseVersion(read: Parameters): Fault | null {
    if (read.versionChosen === 0) return this.writeOwn();
    if (read.versionChosen !== this.line.originalVersion) return faults.versionForced;
    const best = this.line.options.versions.find((version) => read.versions.includes(version)) ?? this.line.version;
    if (best !== this.line.version) {
      this.line.version = best;
      this.line.initialBefore = this.line.protections[INITIAL]!;
      this.line.protections[INITIAL] = this.line.initialKeys();
      this.own.versionChosen = best;
    }
    return this.writeOwn();
  }

  private writeOwn(): null {
    this.line.handshake.begin(writeParameters(this.own), this.line.home.clock);
    return null;
  }

  earlyRefused(): void {
    this.line.protections[EARLY]?.discard();
    this.line.protections[EARLY] = null;
    this.line.recovery.takeBack(APPLICATION_SPACE, (packet) => packet.early, this.line.home.clock.now);
  }

  ticket(ticket: Ticket): void {
    this.dial.onTicket?.(ticket);
  }
}
