// What the fields of a request say about the connection: whose host it is for, how long its body is, whether the
// connection goes on, what it asks to become (RFC 9112 §3.2, §6, §9). It knows no bytes.
import type { Fault } from '../../core/fault.ts';
import { eachMember, isAuthority } from '../http/chars.ts';
import type { HeadReader } from './codec.ts';
import { faults } from './faults.ts';

/** How the end of a body is found. */
export const NO_BODY = 0;
export const LENGTH = 1;
export const CHUNKED = 2;
/** Responses only: as long as the connection lasts. */
export const UNTIL_END = 3;
export type BodyKind = typeof NO_BODY | typeof LENGTH | typeof CHUNKED | typeof UNTIL_END;

/** Worked out from one request head at a time. */
export class Framing {
  authority = '';
  body: BodyKind = NO_BODY;
  length = 0;
  keepAlive = true;
  upgrade = '';
  expectsContinue = false;
  /** The last authority that was found to be one. */
  private seen = '';
  private hosts = 0;
  private connectionUpgrade = false;
  private connectionClose = false;
  private connectionKeep = false;
  private codings: string | null = null;
  private wanted = '';

  /** The fault of the head, or null. */
  read(head: HeadReader): Fault | null {
    this.reset();
    const { list } = head.fields;
    for (let at = 0; at < list.length; at += 2) {
      const fault = this.field(list[at]!, list[at + 1]!);
      if (fault !== null) return fault;
    }
    return this.findAuthority(head) ?? this.findBody(head) ?? this.findConnection(head);
  }

  private reset(): void {
    this.authority = '';
    this.body = NO_BODY;
    this.length = -1;
    this.hosts = 0;
    this.connectionUpgrade = false;
    this.connectionClose = false;
    this.connectionKeep = false;
    this.codings = null;
    this.upgrade = '';
    this.wanted = '';
    this.expectsContinue = false;
  }

  private field(name: string, value: string): Fault | null {
    switch (name) {
      case 'host':
        this.hosts++;
        this.authority = value;
        return null;
      case 'content-length': {
        const length = lengthOf(value);
        // Twice the same is refused as well: nobody honest sends it, and others may take the first or the last.
        if (length < 0 || this.length >= 0) return faults.length;
        this.length = length;
        return null;
      }
      case 'transfer-encoding':
        this.codings = this.codings === null ? value : `${this.codings},${value}`;
        return null;
      case 'connection':
        this.connection(value);
        return null;
      case 'upgrade':
        eachMember(value.toLowerCase(), (token) => {
          if (this.wanted === '' || token === 'websocket') this.wanted = token;
        });
        return null;
      case 'expect':
        if (value.toLowerCase() !== '100-continue') return faults.expectation;
        this.expectsContinue = true;
        return null;
      default:
        return null;
    }
  }

  private connection(value: string): void {
    eachMember(value.toLowerCase(), (option) => {
      if (option === 'close') this.connectionClose = true;
      else if (option === 'keep-alive') this.connectionKeep = true;
      else if (option === 'upgrade') this.connectionUpgrade = true;
    });
  }

  /** The forms of a target (§3.2), and the host that it is for. */
  private findAuthority({ method, target, version }: HeadReader): Fault | null {
    if (this.hosts > 1) return faults.hostTwice;
    if (this.hosts === 0 && version === 11) return faults.hostMissing;
    if (this.authority !== this.seen) {
      if (!isAuthority(this.authority)) return faults.host;
      this.seen = this.authority;
    }
    if (method === 'CONNECT') {
      if (!isAuthority(target) || !/:\d+$/.test(target)) return faults.target;
      this.authority = target;
      return null;
    }
    if (target.charCodeAt(0) === 0x2f) return null;
    if (target === '*') return method === 'OPTIONS' ? null : faults.target;
    const absolute = /^https?:\/\/([^/?]+)(?:[/?]|$)/i.exec(target);
    if (absolute === null || !isAuthority(absolute[1]!)) return faults.target;
    // Host is ignored when the target has an authority of its own (§3.2.2).
    this.authority = absolute[1]!;
    return null;
  }

  /** How long the body is (§6.3). */
  private findBody({ version }: HeadReader): Fault | null {
    if (this.codings === null) {
      if (this.length > 0) this.body = LENGTH;
      return null;
    }
    if (version === 10) return faults.codingTooOld;
    if (this.length >= 0) return faults.bothLengths;
    const codings = this.codings
      .toLowerCase()
      .split(',')
      .map((coding) => coding.trim());
    if (codings.at(-1) !== 'chunked' || codings.indexOf('chunked') < codings.length - 1) return faults.chunkedNotLast;
    if (codings.length > 1) return faults.coding;
    this.body = CHUNKED;
    return null;
  }

  /** Whether the connection goes on (§9.3), and as what (RFC 9110 §7.8). */
  private findConnection({ version }: HeadReader): Fault | null {
    this.keepAlive = !this.connectionClose && (version === 11 || this.connectionKeep);
    if (version === 10) {
      // An interim answer is not sent to those who do not know it (RFC 9110 §10.1.1).
      this.expectsContinue = false;
      return null;
    }
    // The whole request comes before the upgrade; one with a body is answered as if it did not ask.
    if (this.connectionUpgrade && this.body === NO_BODY) this.upgrade = this.wanted;
    return null;
  }
}

/** A Content-Length, or -1. Digits only, and no more than can be counted exactly. */
export function lengthOf(value: string): number {
  if (value.length === 0 || value.length > 15) return -1;
  let length = 0;
  for (let at = 0; at < value.length; at++) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}
