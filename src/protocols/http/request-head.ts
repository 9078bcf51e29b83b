// What the fields of a request say, on HTTP/2 and on HTTP/3 (RFC 9113 §8.3, RFC 9114 §4.3): its pseudo-header fields, how
// long its body is, how urgent it is. It does not know how they were compressed, nor how a broken one is refused.
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { isAuthority } from './chars.ts';

/** The default of RFC 9218 §4.1. */
const URGENCY = 3;

/** Fields of which neither has any (RFC 9113 §8.2.2, RFC 9114 §4.2). */
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

/** How a version of HTTP says what is wrong with a request. */
export interface RequestFaults {
  readonly field: Fault;
  readonly connectionField: Fault;
  readonly pseudo: Fault;
  readonly request: Fault;
  readonly authority: Fault;
  readonly connect: Fault;
  readonly contentLength: Fault;
}

/** A list of fields that was decompressed. */
export interface FieldList {
  /** Name, value, name, value. */
  readonly list: readonly string[];
  /** One of them is not a name or not a value. */
  readonly broken: boolean;
  readonly tooLarge: boolean;
}

/** Works heads out from lists of fields, one at a time. */
export class RequestReader {
  private readonly faults: RequestFaults;
  private scheme = '';
  private hasPath = false;
  private hasAuthority = false;
  private host: string | null = null;
  private cookies: string | null = null;
  /** The last authority that was found to be one. */
  private seen = '';

  constructor(faults: RequestFaults) {
    this.faults = faults;
  }

  read({ list, broken, tooLarge }: FieldList): RequestHead {
    const head = new RequestHead();
    this.scheme = '';
    this.hasPath = this.hasAuthority = false;
    this.host = this.cookies = null;
    head.tooLarge = tooLarge;
    head.fault = broken ? this.faults.field : this.readFields(head, list);
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
    if (head.fields.list.length > 0 || this.host !== null || this.cookies !== null) return this.faults.pseudo;
    switch (name) {
      case ':method':
        if (head.method !== '' || value === '') return this.faults.request;
        head.method = value;
        return null;
      case ':path':
        if (this.hasPath || value === '') return this.faults.request;
        this.hasPath = true;
        head.target = value;
        return null;
      case ':scheme':
        if (this.scheme !== '' || value === '') return this.faults.request;
        this.scheme = value;
        return null;
      case ':authority':
        if (this.hasAuthority) return this.faults.request;
        this.hasAuthority = true;
        head.authority = value;
        return null;
      case ':protocol':
        if (head.protocol !== '' || value === '') return this.faults.connect;
        head.protocol = value.toLowerCase();
        return null;
      default:
        return this.faults.pseudo;
    }
  }

  private field(head: RequestHead, name: string, value: string): Fault | null {
    switch (name) {
      case 'host':
        if (this.host !== null) return this.faults.authority;
        this.host = value;
        return null;
      case 'cookie':
        // Clients may send its parts apart (§8.2.3).
        this.cookies = this.cookies === null ? value : `${this.cookies}; ${value}`;
        return null;
      case 'content-length': {
        if (!/^\d{1,15}$/.test(value)) return this.faults.contentLength;
        const length = Number(value);
        if (head.length >= 0 && head.length !== length) return this.faults.contentLength;
        head.length = length;
        break;
      }
      case 'te':
        if (value.toLowerCase() !== 'trailers') return this.faults.connectionField;
        break;
      case 'expect':
        head.expectsContinue = value.toLowerCase() === '100-continue';
        break;
      case 'priority':
        readPriority(value, head);
        break;
      default:
        if (CONNECTION_FIELDS.has(name)) return this.faults.connectionField;
    }
    head.fields.list.push(name, value);
    return null;
  }

  private check(head: RequestHead): Fault | null {
    const { method, target, protocol } = head;
    if (method === 'CONNECT') {
      const extended = protocol !== '';
      if (!this.hasAuthority || head.authority === '') return this.faults.connect;
      if (extended !== this.hasPath || extended !== (this.scheme !== '')) return this.faults.connect;
      if (!extended) head.target = head.authority;
    } else if (method === '' || this.scheme === '' || !this.hasPath || protocol !== '') return this.faults.request;
    if (this.hasPath && target.charCodeAt(0) !== 0x2f && !(target === '*' && method === 'OPTIONS'))
      return this.faults.request;
    if (!isTarget(target)) return this.faults.request;
    return this.checkAuthority(head);
  }

  /** Host stands for `:authority` where there is none, and is the same where there is (§8.3.1). */
  private checkAuthority(head: RequestHead): Fault | null {
    const { host } = this;
    if (!this.hasAuthority) head.authority = host ?? '';
    else if (host !== null && host.toLowerCase() !== head.authority.toLowerCase()) return this.faults.authority;
    if (head.authority !== this.seen) {
      if (!isAuthority(head.authority)) return this.faults.authority;
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
