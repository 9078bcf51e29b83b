// What becomes of packets that were sent, told by the recovery: what they carried is let go of, or said again.
import type { Instant } from '../../../core/time.ts';
import { CRYPTO, HANDSHAKE_DONE, NEW_CONNECTION_ID, NEW_TOKEN, RETIRE_CONNECTION_ID } from '../codec/frames.ts';
import { APPLICATION, HANDSHAKE, INITIAL, type Level } from '../crypto.ts';
import {
  APPLICATION_SPACE,
  HANDSHAKE_SPACE,
  type RecoveryEvents,
  type SentPacket,
  type SpaceIndex,
} from '../recovery/recovery.ts';
import type { SentFrame } from '../recovery/sent-frame.ts';
import type { QuicConnection } from './connection.ts';
import { showLost, whyLost } from './showing.ts';

/** What stands for an ACK among frames that were sent. */
export const ACKED = 0x02;
const LEVELS: readonly Level[] = [INITIAL, HANDSHAKE, APPLICATION];

export class Fates implements RecoveryEvents<SentFrame> {
  private readonly line: QuicConnection;

  constructor(line: QuicConnection) {
    this.line = line;
  }

  packetAcked(space: SpaceIndex, packet: SentPacket<SentFrame>, now: Instant): void {
    if (space === HANDSHAKE_SPACE) this.line.serverKnows = true;
    if (space === APPLICATION_SPACE && !packet.early) {
      const protection = this.line.protections[APPLICATION];
      protection?.acknowledged(packet.number, now, now + 3 * this.line.recovery.probeMs(APPLICATION_SPACE));
    }
    if (packet.inFlight && packet.path === this.line.recovery.pathNumber) {
      const before = this.line.size.current;
      this.line.size.acked(packet.bytes, packet.probe);
      if (this.line.size.current !== before) this.resized();
    }
    for (const frame of packet.frames) this.frameAcked(space, frame);
  }

  resized(): void {
    this.line.recovery.segment = this.line.size.current;
    this.line.recovery.congestion.segment(this.line.size.current);
  }

  private frameAcked(space: SpaceIndex, frame: SentFrame): void {
    if (frame.type === CRYPTO) this.line.crypto[LEVELS[space]!]!.output.acked(frame.start, frame.end);
    else if (frame.type === ACKED) this.line.arrivals[space]!.told(frame.start);
    else this.line.streams.acked(frame);
  }

  packetLost(space: SpaceIndex, packet: SentPacket<SentFrame>, now: Instant): void {
    if (this.line.tap !== null) showLost(this.line, space, packet, now);
    this.line.qlog?.lost(now, packet.early ? 1 : LEVELS[space]!, packet.number, whyLost(this.line, space, packet));
    if (packet.path === this.line.recovery.pathNumber && this.line.size.lost(packet.bytes, packet.probe, now))
      this.resized();
    for (const frame of packet.frames) this.again(space, frame);
  }

  /** Says it again. */
  again(space: SpaceIndex, frame: SentFrame): void {
    switch (frame.type) {
      case CRYPTO:
        this.line.crypto[LEVELS[space]!]!.output.missed(frame.start, frame.end);
        break;
      case HANDSHAKE_DONE:
        this.line.tellDone = true;
        break;
      case NEW_TOKEN:
        this.line.tellToken =
          this.line.home.addressTokens?.forLater(this.line.path.remote, this.line.home.clock.wall) ?? null;
        break;
      case NEW_CONNECTION_ID:
        if (this.line.ownIds.get(frame.start) !== null) this.line.ownIds.toTell.push(frame.start);
        break;
      case RETIRE_CONNECTION_ID:
        this.line.peersIds.toRetire.push(frame.start);
        break;
      default:
        this.line.streams.lost(frame);
    }
  }
}
