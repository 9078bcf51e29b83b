// What the fields of a request say (RFC 9113 §8.3): its pseudo-header fields, how long its body is, how urgent it is. A
// client says nearly the same each time, so that what was worked out for a header block is kept for the next that is alike.
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { isAuthority } from '../http/chars.ts';
import { faults } from './faults.ts';
import type { HeaderReader } from './header-reader.ts';

/** The default of RFC 9218 §4.1. */
const URGENCY = 3;

/** Fields of which HTTP/2 has none (RFC 9113 §8.2.2). */
const CONNECTION_FIELDS = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade']);

export class RequestHead {
  method = '';
  target = '';
  authority = '';
  /** `:protocol` of an extended CONNECT, in lower case (RFC 8441 §4). */
  protocol = '';
  readonly fields = new Fields();
  /** Content-Length, or -1. */
  length = -1;
  expectsContinue = false;
  urgency = URGENCY;
  incremental = false;
  /** What is wrong with it. */
  fault: Fault | null = null;
  /** Its fields are more than are taken. */
  tooLarge = false;
}

/** Works heads out from lists of fields, one at a time. */
export class RequestReader {
  private scheme = '';
  private hasPath = false;
  private hasAuthority = false;
  private host: string | null = null;
  private cookies: string | null = null;
  /** The last authority that was found to be one. */
  private seen = '';

  read({ list, broken, tooLarge }: HeaderReader): RequestHead {
    const head = new RequestHead();
    this.scheme = '';
    this.hasPath = this.hasAuthority = false;
    this.host = this.cookies = null;
    head.tooLarge = tooLarge;
    head.fault = broken ? faults.field : this.readFields(head, list);
    if (this.cookies !== null) head.fields.list.push('cookie', this.cookies);
    if (head.fault === null && !tooLarge) head.fault = this.check(head);
    // It is kept, and shown to one request after the other.
    Object.freeze(head.fields.list);
    return head;
  }

  private readFields(head: RequestHead, list: readonly string[]): Fault | null {
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at]!;
      const value = list[at + 1]!;
      const fault = name.charCodeAt(0) === 0x3a ? this.pseudo(head, name, value) : this.field(head, name, value);
      if (fault !== null) return fault;
    }
    return null;
  }

  private pseudo(head: RequestHead, name: string, value: string): Fault | null {
    // They stand before all others (§8.3).
    if (head.fields.list.length > 0 || this.host !== null || this.cookies !== null) return faults.pseudo;
    switch (name) {
      case ':method':
        if (head.method !== '' || value === '') return faults.request;
        head.method = value;
        return null;
      case ':path':
        if (this.hasPath || value === '') return faults.request;
        this.hasPath = true;
        head.target = value;
        return null;
      case ':scheme':
        if (this.scheme !== '' || value === '') return faults.request;
        this.scheme = value;
        return null;
      case ':authority':
        if (this.hasAuthority) return faults.request;
        this.hasAuthority = true;
        head.authority = value;
        return null;
      case ':protocol':
        if (head.protocol !== '' || value === '') return faults.connect;
        head.protocol = value.toLowerCase();
        return null;
      default:
        return faults.pseudo;
    }
  }

  private field(head: RequestHead, name: string, value: string): Fault | null {
    switch (name) {
      case 'host':
        if (this.host !== null) return faults.authority;
        this.host = value;
        return null;
      case 'cookie':
        // Clients may send its parts apart (§8.2.3).
        this.cookies = this.cookies === null ? value : `${this.cookies}; ${value}`;
        return null;
      case 'content-length': {
        if (!/^\d{1,15}$/.test(value)) return faults.contentLength;
        const length = Number(value);
        if (head.length >= 0 && head.length !== length) return faults.contentLength;
        head.length = length;
        break;
      }
      case 'te':
        if (value.toLowerCase() !== 'trailers') return faults.connectionField;
        break;
      case 'expect':
        head.expectsContinue = value.toLowerCase() === '100-continue';
        break;
      case 'priority':
        readPriority(value, head);
        break;
      default:
        if (CONNECTION_FIELDS.has(name)) return faults.connectionField;
    }
    head.fields.list.push(name, value);
    return null;
  }

  private check(head: RequestHead): Fault | null {
    const { method, target, protocol } = head;
    if (method === 'CONNECT') {
      const extended = protocol !== '';
      if (!this.hasAuthority || head.authority === '') return faults.connect;
      if (extended !== this.hasPath || extended !== (this.scheme !== '')) return faults.connect;
      if (!extended) head.target = head.authority;
    } else if (method === '' || this.scheme === '' || !this.hasPath || protocol !== '') return faults.request;
    if (this.hasPath && target.charCodeAt(0) !== 0x2f && !(target === '*' && method === 'OPTIONS'))
      return faults.request;
    if (!isTarget(target)) return faults.request;
    return this.checkAuthority(head);
  }

  /** Host stands for `:authority` where there is none, and is the same where there is (§8.3.1). */
  private checkAuthority(head: RequestHead): Fault | null {
    const { host } = this;
    if (!this.hasAuthority) head.authority = host ?? '';
    else if (host !== null && host.toLowerCase() !== head.authority.toLowerCase()) return faults.authority;
    if (head.authority !== this.seen) {
      if (!isAuthority(head.authority)) return faults.authority;
      this.seen = head.authority;
    }
    return null;
  }
}

/** No white space and no fragment. */
function isTarget(target: string): boolean {
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f || code === 0x23) return false;
  }
  return true;
}

/** `u=1, i` (RFC 9218 §4); what cannot be read says nothing. */
export function readPriority(text: string, into: { urgency: number; incremental: boolean }): void {
  into.urgency = URGENCY;
  into.incremental = false;
  for (const part of text.split(',')) {
    const member = part.trim();
    if (/^u=[0-7](?:;|$)/.test(member)) into.urgency = member.charCodeAt(2) - 0x30;
    else if (/^i(?:=\?1)?(?:;|$)/.test(member)) into.incremental = true;
    else if (/^i=\?0(?:;|$)/.test(member)) into.incremental = false;
  }
}

/** Blocks up to this long are kept, and so many of them. */
const BLOCK_BYTES = 128;
const BLOCKS = 32;

/** A header block that was read, and what it said while the table was as it is. */
interface Kept {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly added: number;
  readonly tableMax: number;
  readonly head: RequestHead;
}

/** Heads of one connection, by their header blocks. */
export class RequestHeads {
  private readonly headers: HeaderReader;
  private readonly reader = new RequestReader();
  private readonly kept: (Kept | null)[] = [];

  constructor(headers: HeaderReader) {
    this.headers = headers;
  }

  /** The head of a block; null when the table cannot be trusted any more. It is not to be changed. */
  read(input: Uint8Array, start: number, end: number): RequestHead | null {
    const { headers } = this;
    const { table } = headers;
    const length = end - start;
    if (length > BLOCK_BYTES) return headers.read(input, start, end) < 0 ? null : this.reader.read(headers);
    const slot = slotOf(input, start, end);
    const kept = this.kept[slot];
    if (kept !== undefined && kept !== null && kept.length === length) {
      if (kept.added === table.added && kept.tableMax === table.sizeMax && isSame(kept.bytes, input, start, end))
        return kept.head;
    }
    const { added, sizeMax } = table;
    if (headers.read(input, start, end) < 0) return null;
    const head = this.reader.read(headers);
    // A block that changes the table says something else the next time.
    if (table.added !== added || table.sizeMax !== sizeMax) return head;
    if (this.kept.length === 0) for (let at = 0; at < BLOCKS; at++) this.kept.push(null);
    const bytes = Uint8Array.prototype.slice.call(input, start, end);
    this.kept[slot] = { bytes, length, added, tableMax: sizeMax, head };
    return head;
  }
}

function slotOf(input: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + input[at]!) | 0;
  return (hash ^ (hash >>> 7)) & (BLOCKS - 1);
}

function isSame(kept: Uint8Array, input: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (kept[at - start] !== input[at]) return false;
  return true;
}
