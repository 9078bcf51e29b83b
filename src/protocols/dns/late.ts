// An answer of nothing but a code that is known only after a while: what of the query it repeats is kept until then.
import { MessageWriter } from './codec-write.ts';
import type { Asker, Responder } from './responder.ts';
import type { Signing } from './tsig.ts';
import * as W from './wire.ts';

/** All answers of this kind are written here, one at a time. */
const BYTES = Buffer.alloc(2_048);
const OUT = new MessageWriter();

export class LateAnswer {
  private readonly asker: Asker;
  private readonly token: number;
  private readonly id: number;
  private readonly flags: number;
  private readonly name: Uint8Array;
  private readonly type: number;
  private readonly qclass: number;
  private readonly hasOpt: boolean;
  private readonly udpBytes: number;
  private readonly signing: Signing | null;
  private readonly wall: () => number;

  constructor({ message, limits, signed, clock }: Responder, asker: Asker, token: number) {
    this.asker = asker;
    this.token = token;
    this.id = message.id;
    this.flags = message.flags & (W.OPCODE_BITS | W.RD | W.CD);
    this.name = message.qname.copy();
    this.type = message.qtype;
    this.qclass = message.qclass;
    this.hasOpt = message.opt >= 0;
    this.udpBytes = limits.udpBytesMax;
    this.signing = signed.signing;
    this.wall = () => clock.wall;
  }

  send(rcode: number): void {
    OUT.begin(BYTES, 0, BYTES.length);
    OUT.question(this.name, 0, this.type, this.qclass);
    OUT.header(this.id, W.QR | this.flags | (rcode & 15));
    if (this.hasOpt) OUT.opt(this.udpBytes, rcode, 0, 0);
    this.signing?.sign(OUT, this.wall());
    this.asker.answered(this.token, BYTES, 0, OUT.length);
  }
}
