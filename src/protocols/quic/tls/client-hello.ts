// Writes a ClientHello, with the proof that the ticket in it is ours (RFC 8446 §4.1.2, §4.2.11).
import type { ByteWriter } from '../../../bytes/writer.ts';
import type { Ticket } from '../crypto.ts';
import type { Suite } from '../protection/suites.ts';
import type { Group, Offer } from './groups.ts';
import { finishedData, KeySchedule, type Transcript } from './schedule.ts';
import { OFFERED_SCHEMES } from './signatures.ts';
import {
  ALPN,
  CLIENT_HELLO,
  COOKIE,
  EARLY_DATA,
  greaseOf,
  KEY_SHARE,
  LEGACY_VERSION,
  PRE_SHARED_KEY,
  PSK_DHE_KE,
  PSK_KEY_EXCHANGE_MODES,
  QUIC_TRANSPORT_PARAMETERS,
  SERVER_NAME,
  SIGNATURE_ALGORITHMS,
  SUPPORTED_GROUPS,
  SUPPORTED_VERSIONS,
  TLS_1_3,
} from './wire.ts';
import { close, closeMessage, extension, numbers, open, openExtension, openMessage, vector } from './writing.ts';

export interface HelloPlan {
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  /** A byte of chance, the same in both hellos. */
  readonly grease: number;
  readonly suites: readonly Suite[];
  readonly groups: readonly Group[];
  readonly offers: ReadonlyMap<number, Offer>;
  readonly alpn: readonly string[];
  /** '' for none. */
  readonly serverName: string;
  readonly parameters: Uint8Array | null;
  readonly cookie: Uint8Array | null;
  readonly early: boolean;
  readonly session: { readonly ticket: Ticket; readonly suite: Suite } | null;
  readonly transcript: Transcript;
  readonly wall: number;
}

/** Writes the whole message and answers the extensions that are in it. */
export function writeClientHello(out: ByteWriter, plan: HelloPlan): ReadonlySet<number> {
  const sent = new Set<number>();
  const grease = [greaseOf(plan.grease), greaseOf(plan.grease >>> 4)] as const;
  const at = openMessage(out, CLIENT_HELLO);
  out.u16(LEGACY_VERSION);
  out.copy(plan.random, 0, plan.random.length);
  vector(out, 1, plan.sessionId);
  numbers(out, [grease[0], ...plan.suites.map(({ code }) => code)]);
  // No compression.
  out.u16(0x0100);
  const extensions = open(out, 2);
  const begin = (type: number) => {
    sent.add(type);
    return openExtension(out, type);
  };
  extension(out, grease[1], new Uint8Array());
  if (plan.serverName !== '') writeServerName(out, begin(SERVER_NAME), plan.serverName);
  const versions = begin(SUPPORTED_VERSIONS);
  out.u8(4);
  out.u16(grease[0]);
  out.u16(TLS_1_3);
  close(out, versions, 2);
  writeNumbers(out, begin(SUPPORTED_GROUPS), [grease[0], ...plan.groups.map(({ code }) => code)]);
  writeNumbers(out, begin(SIGNATURE_ALGORITHMS), OFFERED_SCHEMES);
  if (plan.alpn.length > 0) writeProtocols(out, begin(ALPN), plan.alpn);
  const shares = begin(KEY_SHARE);
  const list = open(out, 2);
  for (const [code, offer] of plan.offers) {
    out.u16(code);
    vector(out, 2, offer.share);
  }
  close(out, list, 2);
  close(out, shares, 2);
  const modes = begin(PSK_KEY_EXCHANGE_MODES);
  out.u8(1);
  out.u8(PSK_DHE_KE);
  close(out, modes, 2);
  if (plan.parameters !== null) writeWhole(out, begin(QUIC_TRANSPORT_PARAMETERS), plan.parameters);
  if (plan.cookie !== null) {
    const cookie = begin(COOKIE);
    vector(out, 2, plan.cookie);
    close(out, cookie, 2);
  }
  if (plan.early) close(out, begin(EARLY_DATA), 2);
  if (plan.session === null) {
    close(out, extensions, 2);
    closeMessage(out, at);
    return sent;
  }
  writeTicket(out, plan, plan.session, begin(PRE_SHARED_KEY), { at, extensions });
  return sent;
}

/** The ticket and its binder, which is over all that stands before it; this ends the message. */
function writeTicket(
  out: ByteWriter,
  plan: HelloPlan,
  { ticket, suite }: { readonly ticket: Ticket; readonly suite: Suite },
  extensionAt: number,
  message: { readonly at: number; readonly extensions: number },
): void {
  const identities = open(out, 2);
  vector(out, 2, ticket.ticket);
  out.u32((Math.max(0, Math.floor(plan.wall - ticket.received)) + ticket.ageAdd) % 0x1_0000_0000);
  close(out, identities, 2);
  const bindersAt = out.length;
  vector(out, 2, Buffer.concat([Buffer.from([suite.hashBytes]), Buffer.alloc(suite.hashBytes)]));
  close(out, extensionAt, 2);
  close(out, message.extensions, 2);
  closeMessage(out, message.at);
  const key = new KeySchedule(suite.hash, ticket.secret).binderKey();
  const digest = plan.transcript.digestWith(suite.hash, out.bytes, message.at - 4, bindersAt);
  out.bytes.set(finishedData(suite.hash, key, digest), bindersAt + 3);
}

function writeServerName(out: ByteWriter, at: number, name: string): void {
  const list = open(out, 2);
  out.u8(0);
  vector(out, 2, Buffer.from(name, 'latin1'));
  close(out, list, 2);
  close(out, at, 2);
}

function writeNumbers(out: ByteWriter, at: number, list: readonly number[]): void {
  numbers(out, list);
  close(out, at, 2);
}

function writeWhole(out: ByteWriter, at: number, content: Uint8Array): void {
  out.copy(content, 0, content.length);
  close(out, at, 2);
}

export function writeProtocols(out: ByteWriter, at: number, names: readonly string[]): void {
  const list = open(out, 2);
  for (const name of names) vector(out, 1, Buffer.from(name, 'latin1'));
  close(out, list, 2);
  close(out, at, 2);
}
