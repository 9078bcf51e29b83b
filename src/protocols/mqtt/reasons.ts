// Which reason codes each packet can carry, by version and sender.
import * as P from './packets.ts';

/** DISCONNECT from a server; from a client it is under its own type. */
const DISCONNECT_BY_SERVER = 16;
const CONNACK_EARLIER = 17;
const SUBACK_EARLIER = 18;
const AUTH_BY_SERVER = 19;

/** One bit a packet type for each code. */
const ALLOWED = new Int32Array(256);

function allow(place: number, ...codes: readonly number[]): void {
  for (const code of codes) ALLOWED[code] = ALLOWED[code]! | (1 << place);
}

const ERRORS = [0x80, 0x83, 0x87, 0x91, 0x97];

// MQTT 5.0 §2.4 Table 2-6 and the tables of each packet.
allow(P.CONNACK, 0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97);
allow(P.CONNACK, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f);
allow(P.PUBACK, 0, 0x10, 0x90, 0x99, ...ERRORS);
allow(P.PUBREC, 0, 0x10, 0x90, 0x99, ...ERRORS);
allow(P.PUBREL, 0, 0x92);
allow(P.PUBCOMP, 0, 0x92);
allow(P.SUBACK, 0, 1, 2, 0x8f, 0x9e, 0xa1, 0xa2, ...ERRORS);
allow(P.UNSUBACK, 0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91);
allow(P.DISCONNECT, 0, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99);
allow(DISCONNECT_BY_SERVER, 0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94);
allow(DISCONNECT_BY_SERVER, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2);
allow(P.AUTH, 0x18, 0x19);
allow(AUTH_BY_SERVER, 0, 0x18);
// MQTT 3.1.1 §3.2.2.3, §3.9.3.
allow(CONNACK_EARLIER, 0, 1, 2, 3, 4, 5);
allow(SUBACK_EARLIER, 0, 1, 2, P.SUBACK_FAILURE);

/** Whether a packet of this type can carry this code. */
export function isReason(type: number, code: number, version: number, byServer: boolean): boolean {
  let place = type;
  if (version !== P.V5) place = type === P.CONNACK ? CONNACK_EARLIER : SUBACK_EARLIER;
  else if (type === P.DISCONNECT && byServer) place = DISCONNECT_BY_SERVER;
  else if (type === P.AUTH && byServer) place = AUTH_BY_SERVER;
  return (ALLOWED[code]! & (1 << place)) !== 0;
}
