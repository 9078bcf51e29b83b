// The options of EDNS, read and written: NSID (RFC 5001), client subnet (RFC 7871), cookies (RFC 7873), TCP keepalive
// (RFC 7828), padding (RFC 7830), extended errors (RFC 8914). It does not know what is decided by them.
import { u16 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { ipv6Text } from '../../formats/dns/records.ts';
import type { Message } from './codec.ts';
import type { MessageWriter } from './codec-write.ts';
import { faults } from './faults.ts';
import { EDE_TEXTS, OPTION, optionName } from './wire.ts';

const SCRATCH = new Uint8Array(512);

/** What a message asks and says in its options. One object, read again for each message. */
export class Options {
  nsid = false;
  /** Where cookies lie in the message; -1 when there are none, and for the server's when only the client's came. */
  clientCookieAt = -1;
  serverCookieAt = -1;
  serverCookieEnd = -1;
  keepalive = false;
  padding = false;
  expire = false;
  subnetAt = -1;
  subnetEnd = -1;
  fault: Fault | null = null;

  /** Reads those of the message, which was read whole; false when one cannot be right, with `fault` set. */
  read(message: Message): boolean {
    this.clear();
    if (message.opt < 0) return true;
    const { bytes } = message;
    const end = message.dataEnd[message.opt]!;
    for (let at = message.dataAt[message.opt]!; at < end; ) {
      const from = at + 4;
      const to = from + u16(bytes, at + 2);
      if (!this.take(u16(bytes, at), bytes, from, to)) return false;
      at = to;
    }
    return true;
  }

  clear(): void {
    this.nsid = this.keepalive = this.padding = this.expire = false;
    this.clientCookieAt = this.serverCookieAt = this.serverCookieEnd = this.subnetAt = -1;
    this.fault = null;
  }

  private take(code: number, bytes: Uint8Array, at: number, end: number): boolean {
    const size = end - at;
    switch (code) {
      case OPTION.NSID:
        this.nsid = true;
        return true;
      case OPTION.COOKIE:
        // Only the first counts (RFC 7873 §5.2).
        if (this.clientCookieAt >= 0) return true;
        if (size !== 8 && (size < 16 || size > 40)) return this.bad(faults.badCookie);
        this.clientCookieAt = at;
        if (size === 8) return true;
        this.serverCookieAt = at + 8;
        this.serverCookieEnd = end;
        return true;
      case OPTION.KEEPALIVE:
        // A client sends none of the timeout (RFC 7828 §3.2.1); one that does is not refused.
        this.keepalive = true;
        return true;
      case OPTION.PADDING:
        this.padding = true;
        return true;
      case OPTION.EXPIRE:
        this.expire = true;
        return true;
      case OPTION.ECS:
        return this.takeSubnet(bytes, at, end);
      default:
        // Unknown options are ignored (RFC 6891 §6.1.2).
        return true;
    }
  }

  /** Family, source prefix, scope prefix, and as many octets as the prefix needs, with zeros behind it (RFC 7871 §6). */
  private takeSubnet(bytes: Uint8Array, at: number, end: number): boolean {
    if (end - at < 4) return this.bad(faults.badOption);
    const family = u16(bytes, at);
    const prefix = bytes[at + 2]!;
    const octets = (prefix + 7) >>> 3;
    const most = family === 1 ? 32 : family === 2 ? 128 : 0;
    // A query's scope is 0 (RFC 7871 §6); another family is not ours to judge.
    if (most > 0 && (prefix > most || end - at - 4 !== octets)) return this.bad(faults.badOption);
    if (most > 0 && prefix % 8 !== 0 && (bytes[end - 1]! & (0xff >>> (prefix % 8))) !== 0)
      return this.bad(faults.badOption);
    this.subnetAt = at;
    this.subnetEnd = end;
    return true;
  }

  private bad(fault: Fault): boolean {
    this.fault = fault;
    return false;
  }
}

/** Appends an extended error, with a text where there is one (RFC 8914 §2). */
export function writeExtendedError(out: MessageWriter, code: number, text = ''): boolean {
  SCRATCH[0] = code >>> 8;
  SCRATCH[1] = code;
  const size = text === '' ? 0 : Buffer.from(SCRATCH.buffer).write(text.slice(0, 160), 2);
  return out.option(OPTION.EDE, SCRATCH, 0, 2 + size);
}

/** Appends the time that an idle connection is kept, in units of 100 ms (RFC 7828 §3.1). */
export function writeKeepalive(out: MessageWriter, ms: number): boolean {
  const units = Math.min(0xffff, Math.floor(ms / 100));
  SCRATCH[0] = units >>> 8;
  SCRATCH[1] = units;
  return out.option(OPTION.KEEPALIVE, SCRATCH, 0, 2);
}

/** Appends padding up to the next multiple of `block` (RFC 8467 §4.1). */
export function writePadding(out: MessageWriter, block: number): boolean {
  const size = (block - ((out.length + 4) % block)) % block;
  SCRATCH.fill(0, 0, Math.min(size, SCRATCH.length));
  return size <= SCRATCH.length && out.option(OPTION.PADDING, SCRATCH, 0, size);
}

/** Appends an option of octets. */
export function writeOctetOption(out: MessageWriter, code: number, octets: Uint8Array): boolean {
  return out.option(code, octets, 0, octets.length);
}

/** An option in words: `COOKIE: 0102…`, as dig shows it. */
export function optionText(code: number, bytes: Uint8Array, at: number, end: number): string {
  const octets = Buffer.from(bytes.subarray(at, end));
  const name = optionName(code);
  switch (code) {
    case OPTION.NSID: {
      const text = octets.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
      return `${name}: ${octets.toString('hex').replace(/..(?=.)/g, '$& ')} ("${text}")`;
    }
    case OPTION.EDE:
      if (octets.length < 2) break;
      return edeText(octets);
    case OPTION.KEEPALIVE:
      return octets.length === 2 ? `${name}: ${(octets.readUInt16BE() / 10).toFixed(1)} secs` : name;
    case OPTION.PADDING:
      return `${name}: ${octets.length} octets`;
    case OPTION.ECS:
      if (octets.length < 4) break;
      return `${name}: ${subnetText(octets)}`;
    case OPTION.EXPIRE:
      return octets.length === 4 ? `${name}: ${octets.readUInt32BE()} secs` : name;
    default:
  }
  return octets.length === 0 ? name : `${name}: ${octets.toString('hex')}`;
}

function edeText(octets: Buffer): string {
  const code = octets.readUInt16BE();
  const known = EDE_TEXTS[code] === undefined ? '' : ` (${EDE_TEXTS[code]})`;
  const text = octets.length > 2 ? `: (${octets.toString('utf8', 2).replace(/\0$/, '')})` : '';
  return `EDE: ${code}${known}${text}`;
}

function subnetText(octets: Buffer): string {
  const address = Buffer.alloc(octets.readUInt16BE() === 1 ? 4 : 16);
  octets.copy(address, 0, 4);
  const text = address.length === 4 ? address.join('.') : ipv6Text(address, 0);
  return `${text}/${octets[2]}/${octets[3]}`;
}
