// What a connection tells who watches it: packets as they are without protection, the handshake, what is lost, how the
// window changes. Called only while somebody watches.
import type { Instant } from '../../../core/time.ts';
import { shownNews, shownPacket } from '../codec/shown.ts';
import { type Level, VERSION_1 } from '../crypto.ts';
import { PACKET_THRESHOLD, type SentPacket, type SpaceIndex } from '../recovery/recovery.ts';
import type { QuicConnection } from './connection.ts';

const SPACES = ['Initial', 'Handshake', '1-RTT'] as const;
/** What protection adds behind the frames. */
const TAG_BYTES = 16;

type Pairs = readonly (readonly [string, string])[];

/** A packet that begins at `packet`, with frames from `start` on. */
export function showPacket(
  line: QuicConnection,
  direction: 'in' | 'out',
  level: Level,
  number: number,
  bytes: Uint8Array,
  packet: number,
  start: number,
  end: number,
): void {
  const speaks = line.protocol === 'quic' ? '' : line.protocol;
  const shown = shownPacket(level, number, end + TAG_BYTES - packet, speaks, bytes, start, end);
  line.tap?.bytes(line.id, direction, shown, 0, shown.length, line.home.clock.now);
}

function show(line: QuicConnection, label: string, value: string, more: Pairs = []): void {
  const shown = shownNews([label, value, more]);
  line.tap?.bytes(line.id, 'out', shown, 0, shown.length, line.home.clock.now);
}

/** What was agreed on, once the handshake is complete. */
export function showHandshake(line: QuicConnection): void {
  const { peers, handshake } = line;
  const { tls } = line.peer;
  const more: [string, string][] = [
    ['version', versionName(line)],
    ['ALPN', handshake.alpn],
    ['server name', handshake.serverName],
    ['cipher suite', tls?.cipher ?? ''],
    ['group', handshake.group],
    ['resumed', String(handshake.resumed)],
    ['0-RTT', handshake.early ? 'accepted' : 'none'],
  ];
  if (peers !== null)
    more.push(
      ['max_idle_timeout', `${peers.idleMs} ms`],
      ['max_udp_payload_size', String(peers.udpPayloadMax)],
      ['initial_max_data', String(peers.dataMax)],
      ['initial_max_streams_bidi', String(peers.streamsTwoWayMax)],
      ['initial_max_streams_uni', String(peers.streamsOneWayMax)],
      ['active_connection_id_limit', String(peers.idsMax)],
      ['max_datagram_frame_size', String(peers.datagramMax)],
      ['disable_active_migration', String(peers.noMigration)],
    );
  const name = handshake.serverName === '' ? '' : ` for ${handshake.serverName}`;
  const said = `${handshake.resumed ? ', resumed' : ''}${handshake.early ? ', 0-RTT' : ''}`;
  show(line, 'handshake', `${versionName(line)} ${tls?.cipher ?? ''}${name}, ALPN ${handshake.alpn}${said}`, more);
}

function versionName({ version }: QuicConnection): string {
  return version === VERSION_1 ? 'QUIC 1' : 'QUIC 2';
}

/** A packet of ours that is taken for lost, and by which rule. */
export function showLost(line: QuicConnection, space: SpaceIndex, packet: SentPacket<unknown>, now: Instant): void {
  const why = whyLost(line, space, packet);
  const number = String(packet.number);
  const type = packet.early ? '0-RTT' : SPACES[space];
  show(line, 'lost', `${type} ${number}: ${why}`, [
    ['packet type', type],
    ['packet number', number],
    ['size', String(packet.bytes)],
    ['reason', why],
    ['sent before', `${Math.round((now - packet.at) * 1_000) / 1_000} ms`],
  ]);
  showRecovery(line);
}

/** RFC 9002 §6.1; what was taken back is said again though it may have come. */
export function whyLost({ recovery }: QuicConnection, space: SpaceIndex, { number }: SentPacket<unknown>): string {
  if (recovery.takesBack) return 'taken back';
  return recovery.spaces[space]!.largestAcked >= number + PACKET_THRESHOLD ? 'packet threshold' : 'time threshold';
}

/** Nothing was heard for so long that probes are sent (RFC 9002 §6.2). */
export function showProbe(line: QuicConnection, space: SpaceIndex): void {
  const { probes } = line.recovery;
  show(line, 'PTO', `${SPACES[space]}, ${probes} in a row`, [
    ['packet type', SPACES[space]],
    ['in a row', String(probes)],
  ]);
}

/** The window and the round trip; who reads it tells it only when it has changed. */
export function showRecovery(line: QuicConnection): void {
  const { roundTrip, congestion, inFlight } = line.recovery;
  const window = String(Math.floor(congestion.window));
  const smoothed = roundTrip.smoothed.toFixed(3);
  show(line, 'recovery', `congestion window ${window}, in flight ${inFlight}, round trip ${smoothed} ms`, [
    ['congestion window', window],
    ['bytes in flight', String(inFlight)],
    ['smoothed round trip', `${smoothed} ms`],
    ['latest round trip', `${roundTrip.latest.toFixed(3)} ms`],
    ['round trip variance', `${roundTrip.variance.toFixed(3)} ms`],
  ]);
}
