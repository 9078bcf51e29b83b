// The life of a connection as qlog (draft-ietf-quic-qlog-main-schema, JSON-SEQ of RFC 7464): lines to a sink that somebody
// gave. Nothing is made of what happens where there is none.
import type { Clock, Instant } from '../../core/time.ts';

const KIND = ['initial', '0RTT', 'handshake', '1RTT'] as const;

/** By which rule (RFC 9002 §6.1), as qlog calls it. */
const LOSSES: Readonly<Record<string, string>> = {
  'packet threshold': 'reordering_threshold',
  'time threshold': 'time_threshold',
};

export class Qlog {
  private readonly sink: (record: string) => void;
  private readonly began: Instant;

  /** @param group the connection id that the client made up first, in hex */
  constructor(sink: (record: string) => void, isClient: boolean, group: string, { now, wall }: Clock) {
    this.sink = sink;
    this.began = now;
    this.record({
      qlog_version: '0.3',
      qlog_format: 'JSON-SEQ',
      title: 'Portico',
      trace: {
        common_fields: { ODCID: group, group_id: group, time_format: 'relative', reference_time: wall },
        vantage_point: { type: isClient ? 'client' : 'server' },
      },
    });
  }

  private record(value: object): void {
    this.sink(`\x1e${JSON.stringify(value)}\n`);
  }

  private event(now: Instant, name: string, data: object): void {
    this.record({ time: Math.round((now - this.began) * 1_000) / 1_000, name, data });
  }

  packet(now: Instant, sent: boolean, level: number, number: number, bytes: number, frames: readonly string[]): void {
    this.event(now, sent ? 'transport:packet_sent' : 'transport:packet_received', {
      header: { packet_type: KIND[level], packet_number: number },
      raw: { length: bytes },
      frames: frames.map((frame_type) => ({ frame_type })),
    });
  }

  dropped(now: Instant, trigger: string, bytes: number): void {
    this.event(now, 'transport:packet_dropped', { raw: { length: bytes }, trigger });
  }

  lost(now: Instant, level: number, number: number, why: string): void {
    this.event(now, 'recovery:packet_lost', {
      header: { packet_type: KIND[level], packet_number: number },
      ...(LOSSES[why] && { trigger: LOSSES[why] }),
    });
  }

  metrics(now: Instant, smoothed: number, window: number, inFlight: number): void {
    this.event(now, 'recovery:metrics_updated', {
      smoothed_rtt: smoothed,
      congestion_window: Math.floor(window),
      bytes_in_flight: inFlight,
    });
  }

  state(now: Instant, state: string): void {
    this.event(now, 'connectivity:connection_state_updated', { new: state });
  }
}
