// DNS over UDP: one query a datagram, one answer to where it came from. What is no query is not answered at all: two servers
// would talk for ever.
import { copyOf } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import { type Address, isLoopback, type Peer } from '../../core/peer.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import { addressOctets } from './addresses.ts';
import { type Asker, LATER, NOTHING, type Responder } from './responder.ts';

/** Who sends from this machine and from elsewhere, as far as addresses say. */
export type CallersOf = (local: boolean) => Caller | null;

export class DnsDatagrams implements DatagramSession, Asker {
  readonly carrier = 'udp';
  readonly deadline = NEVER;
  /** Of the datagram that is being answered. */
  host = '';
  address: Uint8Array = new Uint8Array(4);
  isLocal = false;
  private readonly port: DatagramPort;
  private readonly responder: Responder;
  private readonly callers: CallersOf;
  /** Where answers that are to come go. */
  private readonly open = new Map<number, { readonly to: Address; readonly local: Address | null }>();
  private tokens = 0;

  constructor(port: DatagramPort, responder: Responder, callers: CallersOf) {
    this.port = port;
    this.responder = responder;
    this.callers = callers;
  }

  /** Nobody signs in by datagrams: an address of this machine is all that tells one from another. */
  get caller(): Caller | null {
    return this.callers(this.isLocal);
  }

  receive(input: Uint8Array, start: number, end: number, from: Address, local: Address | null): void {
    const { responder } = this;
    // Most come from where the last came from.
    if (from.host !== this.host) {
      this.host = from.host;
      this.address = addressOctets(from.host);
      this.isLocal = isLoopback(from.host);
    }
    // No client has these: what comes from there was made to be answered to somebody else's service.
    if (from.port === 0) return;
    const token = ++this.tokens;
    const length = responder.answer(input, start, end, this, token);
    if (length > 0) this.port.send(from, local, responder.bytes, 0, length, 0);
    else if (length === LATER) this.keep(token, from, local);
    else if (length !== NOTHING) throw new RangeError(`an answer of ${length} bytes`);
  }

  private keep(token: number, to: Address, local: Address | null): void {
    const early = this.early;
    this.early = null;
    if (early !== null && early.token === token) {
      this.port.send(to, local, early.bytes, 0, early.bytes.length, 0);
      return;
    }
    if (this.open.size < this.responder.limits.unansweredUdpMax) this.open.set(token, { to, local });
  }

  /** An answer that was there before its query was taken note of. */
  private early: { readonly token: number; readonly bytes: Uint8Array } | null = null;

  answered(token: number, bytes: Uint8Array, start: number, end: number): void {
    const asked = this.open.get(token);
    if (asked === undefined) {
      if (token === this.tokens && end > start) this.early = { token, bytes: copyOf(bytes, start, end) };
      return;
    }
    this.open.delete(token);
    if (end > start) this.port.send(asked.to, asked.local, bytes, start, end, 0);
  }

  tick(_clock: Clock): void {}

  leave(): void {
    this.port.close();
  }

  lost(): void {
    this.open.clear();
  }
}

export function peerAt(host: string): Peer {
  return { carrier: 'udp', remote: { host, port: 0 }, local: null, tls: null, below: null, stream: null };
}
