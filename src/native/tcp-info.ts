// What the kernel says of a TCP connection, read out of `struct tcp_info` of linux/tcp.h by offset. It asks nobody.

/** Figures of one connection; null where this kernel does not tell. */
export interface TcpInfo {
  readonly state: string;
  readonly roundTripUs: number;
  readonly roundTripVarianceUs: number;
  /** Segments that were sent again, over the connection's life. */
  readonly retransmits: number;
  /** In segments of `segmentBytes`. */
  readonly congestionWindow: number;
  readonly segmentBytes: number;
  readonly unackedSegments: number;
  readonly lostSegments: number;
  /** Bytes a second; null also where the kernel does not pace. */
  readonly pacingRate: number | null;
  readonly deliveryRate: number | null;
  readonly bytesAcked: number | null;
  readonly bytesReceived: number | null;
}

// The same on x86-64 and arm64. A kernel knows the struct up to a length that it answers; it only ever grows at its end.
const STATE = 0; // u8
const SEND_MSS = 16; // u32, as all up to TOTAL_RETRANSMITS
const UNACKED = 24;
const LOST = 32;
const ROUND_TRIP = 68;
const ROUND_TRIP_VARIANCE = 72;
const SEND_CWND = 80;
const TOTAL_RETRANSMITS = 100;
const PACING_RATE = 104; // u64, all ones: not paced
const BYTES_ACKED = 120; // u64
const BYTES_RECEIVED = 128; // u64
const DELIVERY_RATE = 160; // u64

/** As much as is asked for. */
export const TCP_INFO_BYTES = 256;
/** What every kernel since 2.6 tells. */
export const TCP_INFO_LEAST = 104;

/** RFC 9293 §3.3.2, numbered as in linux/tcp_states.h. */
const STATES = [
  'unknown',
  'established',
  'syn-sent',
  'syn-received',
  'fin-wait-1',
  'fin-wait-2',
  'time-wait',
  'closed',
  'close-wait',
  'last-ack',
  'listen',
  'closing',
  'new-syn-received',
];

const NOT_PACED = 0xffff_ffff_ffff_ffffn;

/** @param length how much of it the kernel filled in; null when that is too little to be read */
export function readTcpInfo(view: DataView, length: number): TcpInfo | null {
  if (length < TCP_INFO_LEAST) return null;
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => (at + 8 <= length ? view.getBigUint64(at, true) : null);
  const count = (value: bigint | null) => (value === null || value === NOT_PACED ? null : Number(value));
  return {
    state: STATES[view.getUint8(STATE)] ?? 'unknown',
    roundTripUs: u32(ROUND_TRIP),
    roundTripVarianceUs: u32(ROUND_TRIP_VARIANCE),
    retransmits: u32(TOTAL_RETRANSMITS),
    congestionWindow: u32(SEND_CWND),
    segmentBytes: u32(SEND_MSS),
    unackedSegments: u32(UNACKED),
    lostSegments: u32(LOST),
    pacingRate: count(u64(PACING_RATE)),
    deliveryRate: count(u64(DELIVERY_RATE)),
    bytesAcked: count(u64(BYTES_ACKED)),
    bytesReceived: count(u64(BYTES_RECEIVED)),
  };
}
