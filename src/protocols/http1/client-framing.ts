// What the fields of an answer say about the connection: how long its body is, and whether the connection goes on
// (RFC 9112 §6.3, §9.3). It knows no bytes.
import type { Fault } from '../../core/fault.ts';
import { eachMember } from '../http/chars.ts';
import { clientFaults } from './client-faults.ts';
import type { HeadReader } from './codec.ts';
import { faults } from './faults.ts';
import { type BodyKind, CHUNKED, LENGTH, lengthOf, NO_BODY, UNTIL_END } from './framing.ts';

/** Worked out from one answer's head at a time. */
export class AnswerFraming {
  body: BodyKind = NO_BODY;
  length = 0;
  keepAlive = true;
  /** How long the server keeps the connection, in milliseconds; Infinity where it does not say. */
  keptMs = Number.POSITIVE_INFINITY;

  /** The fault of the head, or null. @param method of the request that it answers */
  read(head: HeadReader, method: string): Fault | null {
    const { status, version, fields } = head;
    this.body = NO_BODY;
    this.length = 0;
    this.keptMs = keptMsOf(fields.joined('keep-alive'));
    this.keepAlive = version === 11;
    eachMember(fields.joined('connection')?.toLowerCase() ?? '', (option) => {
      if (option === 'close') this.keepAlive = false;
      else if (option === 'keep-alive' && version === 10 && !hasClose(head)) this.keepAlive = true;
    });
    // Whatever their fields say, these have no body (§6.3, rules 1 and 2).
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return null;
    if (method === 'CONNECT' && status < 300) return null;
    return this.findBody(head);
  }

  private findBody({ version, fields }: HeadReader): Fault | null {
    const codings = fields.joined('transfer-encoding');
    const lengths = fields.joined('content-length');
    if (codings !== null) {
      // Somebody on the way may have read one and somebody else the other (§6.1).
      if (version === 10) return faults.codingTooOld;
      if (lengths !== null) return faults.bothLengths;
      const all = codings
        .toLowerCase()
        .split(',')
        .map((coding) => coding.trim());
      if (all.indexOf('chunked') >= 0 && all.indexOf('chunked') < all.length - 1) return faults.chunkedNotLast;
      // We named no other in TE (RFC 9110 §10.1.4).
      if (all.length > 1 || all[0] !== 'chunked') return faults.coding;
      this.body = CHUNKED;
      return null;
    }
    if (lengths === null) {
      this.body = UNTIL_END;
      this.keepAlive = false;
      return null;
    }
    const length = sameLength(lengths);
    if (length < 0) return clientFaults.lengths;
    this.length = length;
    this.body = length > 0 ? LENGTH : NO_BODY;
    return null;
  }
}

function hasClose({ fields }: HeadReader): boolean {
  return /(?:^|,)\s*close\s*(?:,|$)/i.test(fields.joined('connection') ?? '');
}

/** One length, also where it stands several times alike (§6.3, rule 5); -1 for anything else. */
function sameLength(list: string): number {
  const [first, ...others] = list.split(',').map((text) => lengthOf(text.trim()));
  return others.every((length) => length === first) ? first! : -1;
}

/** `timeout=5` of Keep-Alive: the server closes after so many seconds. */
function keptMsOf(value: string | null): number {
  const seconds = value === null ? null : /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value);
  return seconds === null ? Number.POSITIVE_INFINITY : Number(seconds[1]) * 1_000;
}
